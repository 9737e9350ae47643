//! What changed since an earlier run.

use crate::markdown::changes;
use crate::markdown::page::Page;
use crate::markdown::text::Inline;
use crate::report::Report;

/// Section 9.
pub(super) fn since(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"9. Against a baseline".into());
    let Some(since) = &analysis.since else {
        page.paragraph(
            &"No baseline was given. `regatta report RUN --baseline RUN|FILE` compares each host with itself in an earlier run.".into(),
        );
        return;
    };
    page.paragraph(&Inline::own(format!(
        "Each host against itself in run `{}`.",
        Inline::text(since.before.as_str())
    )));
    changes::found(since, page, Page::subsection);
    changes::method(since, page);
}

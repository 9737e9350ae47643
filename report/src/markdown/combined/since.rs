//! What changed since an earlier run.

use crate::analysis::Analysis;
use crate::markdown::page::Page;
use crate::markdown::text::Inline;

/// Section 9.
pub(super) fn since(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"9. Against a baseline".into());
    let Some(changes) = &analysis.since else {
        page.paragraph(
            &"No baseline was given. `regatta report RUN --baseline RUN|FILE` compares each host with itself in an earlier run.".into(),
        );
        return;
    };
    page.paragraph(&Inline::own(format!(
        "Each host against itself in run `{}`.",
        Inline::text(changes.before().as_str())
    )));
    changes.found(page, Page::subsection);
    changes.method(page);
}

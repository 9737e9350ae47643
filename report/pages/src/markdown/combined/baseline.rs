//! What changed since an earlier run.

use crate::markdown::changes;
use crate::markdown::layout::{Inline, Page};
use crate::report::Report;

/// Section 9.
pub(super) fn baseline(page: &mut Page, report: &Report<'_>) {
    page.section("9. Against a baseline");
    let Some(since) = &report.since else {
        page.paragraph("No baseline was given. `regatta report RUN --baseline RUN|FILE` compares each host with itself in an earlier run.");
        return;
    };
    let before = Inline::text(&since.before);
    page.paragraph(Inline::own(format!("Each host against itself in run `{before}`.")));
    changes::found(since, page, Page::subsection);
    changes::method(since, page);
}

//! `report.html`: the pages of the report in one file that needs nothing else.
//!
//! Made from the Markdown that the report writes, so that both say the same. The file holds no
//! address: links lead to places in it, pictures are inside, and its policy lets a browser load
//! nothing and run only the script that sorts tables.

mod page;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regatta_types::ids::HostId;
use sha2::{Digest as _, Sha256};

use self::page::{Heading, Pages, anchor, as_text};
use crate::plot;
use crate::report::Report;
use crate::words::numbers::quantity;

/// Most pages of hosts in the file; in a run of more hosts only of those that differ significantly.
pub(crate) const PAGES_MAX: usize = 40;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The file, with the pages of these hosts; `files` are those of the report it is made of.
pub(crate) fn html(
    analysis: &Report<'_>,
    hosts: &[&HostId],
    files: &BTreeMap<String, Vec<u8>>,
) -> String {
    let pages = Pages { files, hosts };
    let (combined, headings) = pages.page("report.md", "report");
    let run = analysis.record.header.run.as_str();
    let mut out = head(run);
    out.push_str("<main id=\"report\">\n");
    // The title comes first, the way about after it.
    let title_end = combined.find("</h1>\n").map_or(0, |at| at + "</h1>\n".len());
    let (title, rest) = combined.split_at(title_end);
    out.push_str(title);
    contents(&mut out, &headings, hosts, analysis.hosts.len());
    out.push_str(rest);
    out.push_str("</main>\n");
    for &host in hosts {
        let (page, _) = pages.page(&format!("hosts/{host}.md"), &anchor(host));
        out.push_str(&format!("<section id=\"{}\">\n", anchor(host)));
        out.push_str("<p class=\"up\"><a href=\"#report\">All hosts</a></p>\n");
        out.push_str(&page);
        out.push_str("</section>\n");
    }
    out.push_str(&format!("<script>{SCRIPT}</script>\n</body>\n</html>\n"));
    out
}

/// The hosts whose pages are in the file.
pub(crate) fn shown<'a>(analysis: &'a Report<'_>) -> Vec<&'a HostId> {
    let hosts = analysis.hosts.iter().map(|host| host.host);
    if analysis.hosts.len() <= PAGES_MAX {
        return hosts.collect();
    }
    let is_different = |host: &&HostId| {
        let mut metrics = analysis.classes.iter().flat_map(|class| &class.metrics);
        metrics.any(|m| m.judged(host).is_some_and(|j| j.verdict.is_difference()))
    };
    hosts.filter(is_different).take(PAGES_MAX).collect()
}

fn head(run: &str) -> String {
    let style = format!("{STYLE}{}\n", plot::dark_rules());
    let (style_hash, script_hash) = (hash(&style), hash(SCRIPT));
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{style_hash}'; script-src '{script_hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Regatta report: {run}</title>\n\
         <style>{style}</style>\n\
         </head>\n\
         <body>\n"
    )
}

/// As a policy names an inline style or script.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

fn contents(out: &mut String, headings: &[Heading], shown: &[&HostId], hosts: usize) {
    out.push_str("<nav>\n<p>");
    for Heading { id, text } in headings {
        out.push_str(&format!("<a href=\"#{id}\">{}</a>\n", as_text(text)));
    }
    out.push_str("</p>\n");
    if !shown.is_empty() {
        out.push_str("<p>Hosts: ");
        for host in shown {
            out.push_str(&format!("<a href=\"#{}\">{host}</a>\n", anchor(host)));
        }
        out.push_str("</p>\n");
    }
    let left_out = hosts - shown.len();
    if left_out > 0 {
        let pages = quantity(left_out, "per-host report");
        out.push_str(&format!(
            "<p>{pages} not included: with {} or more hosts this file contains only hosts with a significant difference, at most {PAGES_MAX}. All are in the folder <code>hosts</code> of the report.</p>\n",
            PAGES_MAX + 1
        ));
    }
    out.push_str("</nav>\n");
}

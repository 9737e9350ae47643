//! Prints docs/metrics.md: `cargo run -p regatta-report --example metrics > docs/metrics.md`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(regatta_report::metrics_page::document().as_bytes())
}

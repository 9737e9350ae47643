//! Prints docs/calibration.md, and fails where a bound is broken: `cargo xtask calibrate`.

use std::io::Write as _;
use std::process::ExitCode;

use regatta_figures::calibration::{Scenario, calibrate};
use regatta_report::calibration::{broken_line, page};

const FLEETS: u32 = 2_000;
const SEED: u64 = 20_261_124;

fn main() -> std::io::Result<ExitCode> {
    let calibration = calibrate(&Scenario::all(), FLEETS, SEED);
    std::io::stdout().write_all(page(&calibration).as_bytes())?;
    let mut code = ExitCode::SUCCESS;
    for broken in calibration.rows.iter().flat_map(|row| row.broken(0.0)) {
        writeln!(std::io::stderr(), "broken: {}", broken_line(&broken))?;
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

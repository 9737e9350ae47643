//! What is shipped beside the programs holds what it promises.

use std::process::Command;

use regatta_tests::repository;

/// Exposure by `systemd-analyze security`, in tenths: 20 is its 2.0, "OK".
const EXPOSURE_MAX: &str = "--threshold=20";

#[test]
fn the_agents_unit_is_hardened() {
    let unit = repository().join("deploy/regatta-agent.service");
    let checked = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", EXPOSURE_MAX])
        .arg(unit)
        .output();
    match checked {
        Ok(output) => {
            let report = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{report}");
            assert!(report.contains("Overall exposure level"), "{report}");
        }
        Err(error) => println!("skipped: no systemd-analyze on this machine ({error})"),
    }
}

//! Writes a sample report:
//! `cargo run -p regatta-report --example sample --features testing -- FOLDER [HOSTS]`.
//!
//! Three hosts (or so many) of which the last is 20 % slower, four cases, five repetitions.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use regatta_report::testing::files;
use regatta_types::testing::{RunBuilder, TestHost};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("name a folder to write to")?);
    let titles = ["Full backend system", "Complex algorithms", "Debug task", "Data analysis"];
    let hosts = match std::env::args().nth(2) {
        Some(hosts) => hosts.parse()?,
        None => 3,
    };
    let host = |number: u32| TestHost::new(&format!("gpu-{number:02}"));
    let builder = (1..hosts).fold(RunBuilder::new(&titles, 5), |run, n| run.host(host(n)));
    let record = builder.host(host(hosts).slower_by(0.25)).build();
    for (path, content) in files(&record) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        fs::write(path, content)?;
    }
    Ok(())
}

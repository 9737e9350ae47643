//! Licenses and bans of all dependencies, on any platform.

use std::path::Path;

use anyhow::bail;
use cargo_metadata::{CargoOpt, MetadataCommand, Package};
use spdx::{Expression, ParseMode};

/// Licenses that require only attribution.
const LICENSES: [&str; 8] = [
    "Apache-2.0",
    "MIT",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
    "CC0-1.0",
];

/// Banned crates, each with the reason.
const BANNED: [(&str, &str); 8] = [
    ("aws-lc-rs", "ring is the only crypto provider"),
    ("aws-lc-sys", "ring is the only crypto provider"),
    ("aws-lc-fips-sys", "ring is the only crypto provider"),
    ("openssl", "rustls is the only TLS library"),
    ("openssl-sys", "rustls is the only TLS library"),
    ("openssl-src", "rustls is the only TLS library"),
    ("native-tls", "rustls is the only TLS library"),
    ("bincode", "unmaintained; the wire is protobuf"),
];

/// Fails with a list of all packages that are banned or have a license that is not allowed.
pub(crate) fn check(top: &Path) -> anyhow::Result<()> {
    let metadata = MetadataCommand::new()
        .current_dir(top)
        .features(CargoOpt::AllFeatures)
        .other_options(["--locked".to_owned()])
        .exec()?;
    let wrong: Vec<String> = metadata.packages.iter().filter_map(problem).collect();
    println!("{} packages checked", metadata.packages.len());
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

fn problem(package: &Package) -> Option<String> {
    let (name, version) = (package.name.as_str(), &package.version);
    if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        return Some(format!("{name} {version} is banned: {why}"));
    }
    let license = package.license.as_deref().unwrap_or("none");
    (!is_allowed(license)).then(|| format!("{name} {version} has license {license}"))
}

/// Whether the allowed licenses satisfy an SPDX expression; old crates write `/` for `OR`.
fn is_allowed(license: &str) -> bool {
    let Ok(expression) = Expression::parse_mode(license, ParseMode::LAX) else { return false };
    expression.evaluate(|one| one.license.id().is_some_and(|id| LICENSES.contains(&id.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_when_it_can_be_met() {
        for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-2.0-only) AND Zlib"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["none", "GPL-3.0-only", "MIT AND AGPL-3.0", "Proprietary", ""] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}

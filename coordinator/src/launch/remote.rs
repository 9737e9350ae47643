//! Commands that run on a host, and their output. They need only `sh` with coreutils. The user's
//! login shell, of any kind, parses only the outer command.

use super::binary::{Binary, Glibc};

/// Input for `sh -s`; prints the system, the C library and the cache of the host.
pub(super) const PROBE: &str = include_str!("probe.sh");

/// Reads the binary from stdin, under a temporary name until it is complete.
const COPY: &str = "umask 077; dir=${XDG_CACHE_HOME:-$HOME/.cache}/regatta; part=$dir/$1.$2.part; \
    if mkdir -p \"$dir\" && cat > \"$part\" && { \
    [ \"$(sha256sum < \"$part\" | cut -c 1-64)\" = \"$3\" ] || \
    { echo \"error: the copy is incomplete (SHA-256 mismatch)\" >&2; false; }; } && chmod 700 \"$part\" && \
    mv -f \"$part\" \"$dir/$1\"; then :; else rm -f \"$part\"; exit 1; fi";

/// Runs the agent in a private directory and removes the directory afterwards. The socket exists
/// before the command starts, or never.
const START: &str = "room=$1; shift; echo $$ > \"$room/pid\"; if [ -S \"$room/s\" ]; then \
    echo \"regatta-ssh started\"; \"$@\"; code=$?; else \
    echo \"error: sshd does not forward Unix sockets. In its sshd_config, set \
    AllowStreamLocalForwarding yes and remove DisableForwarding\" >&2; code=1; fi; \
    rm -rf \"$room\"; exit $code";

/// Printed by [`START`] right before the agent starts.
pub(super) const STARTED: &str = "regatta-ssh started";

/// Answer of a host to [`PROBE`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// `uname -sm`.
    system: String,
    /// The C library and its version.
    libc: String,
    /// Name of the cached binary.
    have: Option<String>,
    /// The cache directory.
    pub(super) cache: String,
}

impl Answer {
    /// Parses the lines with our prefix and ignores other output of the login.
    pub(super) fn read(lines: &[String]) -> Self {
        let mut answer = Self::default();
        for line in lines {
            let Some(ours) = line.strip_prefix("regatta-ssh ") else { continue };
            let (what, rest) = ours.split_once(' ').unwrap_or((ours, ""));
            match what {
                "system" => rest.clone_into(&mut answer.system),
                "libc" => rest.clone_into(&mut answer.libc),
                "have" => answer.have = Some(rest.to_owned()),
                "cache" => rest.clone_into(&mut answer.cache),
                _ => {}
            }
        }
        answer
    }

    /// The binary for this host.
    pub(super) fn choose<'b>(&self, binaries: &'b [Binary]) -> Result<&'b Binary, String> {
        let arch = match self.system.split_once(' ') {
            Some(("Linux", arch)) => arch,
            Some((other, _)) => {
                return Err(format!(
                    "host runs {other}, but the agent requires \
                Linux"
                ));
            }
            None => {
                return Err(
                    "no answer from the login shell. Does a login script exit early?".to_owned()
                );
            }
        };
        let binary = binaries
            .iter()
            .find(|binary| binary.arch == arch)
            .ok_or_else(|| format!("no agent binary for {arch}. Set --agent-binary {arch}=PATH"))?;
        if self.libc.starts_with("musl") {
            return Err("host uses musl, but the agent requires glibc to load NVML".to_owned());
        }
        let there = self.libc.rsplit(' ').next().and_then(Glibc::parse);
        match (there, binary.glibc) {
            (Some(there), Some(needed)) if there < needed => Err(format!(
                "host has glibc {there}, but the agent requires {needed}. Build the agent on a \
                 system as old as the host and set --agent-binary {arch}=PATH"
            )),
            (Some(_) | None, Some(_) | None) => Ok(binary),
        }
    }

    /// Whether a binary is already cached.
    pub(super) fn has(&self, binary: &Binary) -> bool {
        self.have.as_deref() == Some(binary.name().as_str())
    }
}

/// A new directory name on a host. Creating it fails if the name exists.
pub(super) fn room() -> String {
    format!("/tmp/regatta-ssh.{:016x}", rand::random::<u64>())
}

/// The command that answers [`PROBE`].
pub(super) fn probe(room: &str, binaries: &[Binary]) -> String {
    let programs: Vec<String> =
        binaries.iter().map(|b| format!("{}:{}", b.name(), b.hash)).collect();
    command(["sh", "-s", room].into_iter().chain(programs.iter().map(String::as_str)))
}

/// The command that receives a binary; `token` separates concurrent copies.
pub(super) fn copy(binary: &Binary, token: &str) -> String {
    command(["sh", "-c", COPY, "regatta", &binary.name(), token, &binary.hash])
}

/// The command that runs the agent.
pub(super) fn start(room: &str, program: &str, subcommand: bool, flags: &[String]) -> String {
    let subcommand = subcommand.then_some("agent");
    let agent = [program].into_iter().chain(subcommand).chain(flags.iter().map(String::as_str));
    command(["sh", "-c", START, "regatta", room].into_iter().chain(agent))
}

/// The command that removes a directory without a started agent.
pub(super) fn clear(room: &str) -> String {
    command(["rm", "-rf", room])
}

fn command<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    format!("exec {}", words.join(" "))
}

/// Quotes a word for any login shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(arch: &str) -> Binary {
        Binary {
            arch: arch.to_owned(),
            content: bytes::Bytes::new(),
            hash: "0123456789abcdef0123".to_owned(),
            glibc: Glibc::parse("2.34"),
            subcommand: false,
        }
    }

    fn answer(lines: &[&str]) -> Answer {
        Answer::read(&lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_answer_is_found_in_other_login_output() {
        let found = answer(&[
            "Welcome to gpu-01!",
            "regatta-ssh system Linux x86_64",
            "regatta-ssh libc glibc 2.36",
            "regatta-ssh have agent-0123456789abcdef",
            "regatta-ssh cache /home/me/.cache/regatta",
        ]);
        let both = [binary("aarch64"), binary("x86_64")];
        let chosen = found.choose(&both).unwrap();
        assert_eq!((chosen.arch.as_str(), found.has(chosen)), ("x86_64", true));
        assert_eq!(found.cache, "/home/me/.cache/regatta");
    }

    #[test]
    fn hosts_that_cannot_run_the_agent_are_errors() {
        let why = |lines: &[&str]| answer(lines).choose(&[binary("x86_64")]).unwrap_err();
        let all = [
            why(&["regatta-ssh system Linux aarch64", "regatta-ssh libc glibc 2.36"]),
            why(&["regatta-ssh system Linux x86_64", "regatta-ssh libc glibc 2.28"]),
            why(&["regatta-ssh system Linux x86_64", "regatta-ssh libc musl libc (x86_64)"]),
            why(&["regatta-ssh system Darwin arm64"]),
            why(&["This account is not available."]),
        ];
        insta::assert_snapshot!(all.join("\n"));
        let unknown = answer(&["regatta-ssh system Linux x86_64", "regatta-ssh libc "]);
        assert!(unknown.choose(&[binary("x86_64")]).is_ok(), "it may well run");
    }

    #[test]
    fn arguments_reach_the_program_unchanged() {
        let flags = ["--model".to_owned(), "it's a \"model\"; $(reboot)".to_owned()];
        let line = start("/tmp/regatta-ssh.x", "/home/a b/agent", true, &flags);
        assert!(!line.contains('\n') && !line.contains('!'), "csh reads neither");
        let words = line.split_once("regatta /tmp").unwrap().1;
        let expected =
            r#"/regatta-ssh.x '/home/a b/agent' agent --model 'it'\''s a "model"; $(reboot)'"#;
        assert_eq!(words, expected);
    }
}

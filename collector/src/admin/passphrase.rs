//! A passphrase: from a file, from standard input, or typed at the terminal without being seen.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use plumb_proto::limits;
use plumb_proto::secret::Secret;

/// Reads a passphrase; typed, it is asked for `twice` where a slip would cost more than another try.
///
/// # Errors
/// It cannot be read, it is empty, or it was typed differently the second time.
pub(super) fn read(from: Option<&Path>, twice: bool) -> Result<Secret> {
    let secret = match from {
        Some(path) if path == Path::new("-") => line(std::io::stdin().lock()).context("read standard input")?,
        Some(path) => {
            File::open(path).map_err(Into::into).and_then(line).with_context(|| path.display().to_string())?
        }
        None => typed(twice)?,
    };
    if secret.expose().is_empty() {
        bail!("there is no passphrase: nothing was changed");
    }
    Ok(secret)
}

/// The first line of a small input.
fn line(input: impl Read) -> Result<Secret> {
    let mut bytes = Vec::new();
    input.take(limits::TOKEN_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limits::TOKEN_FILE {
        bail!("it is longer than {} bytes", limits::TOKEN_FILE);
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = Secret::new(bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]));
    bytes.fill(0);
    Ok(line)
}

fn typed(twice: bool) -> Result<Secret> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal = terminal.context("there is no terminal to ask at: give --passphrase-file FILE|-")?;
    let _quiet = Quiet::begin(&terminal).context("switch the terminal's echo off")?;
    let first = ask(&terminal, "Passphrase: ")?;
    if twice && !first.expose().is_empty() && ask(&terminal, "Once more: ")?.expose() != first.expose() {
        bail!("the two are not the same: nothing was changed");
    }
    Ok(first)
}

fn ask(mut terminal: &File, words: &str) -> Result<Secret> {
    terminal.write_all(words.as_bytes())?;
    let mut bytes = Vec::with_capacity(limits::TOKEN_FILE); // grown, it would leave copies behind
    let mut byte = [0];
    while terminal.read(&mut byte)? == 1 && byte[0] != b'\n' {
        if bytes.len() == limits::TOKEN_FILE {
            bail!("it is longer than {} bytes", limits::TOKEN_FILE);
        }
        bytes.push(byte[0]);
    }
    terminal.write_all(b"\n")?;
    Ok(Secret::new(bytes))
}

/// The terminal without echo, as getpass(3) has it: keys that would end the program are input until it is itself again, or
/// it would stay mute.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn begin(terminal: &'a File) -> nix::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags &= !(LocalFlags::ECHO | LocalFlags::ISIG);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_passphrase_is_the_first_line_without_its_end() {
        let read = |text: &[u8]| line(text).unwrap().expose().to_vec();
        assert_eq!(read(b"five words\r\nsomething else\n"), b"five words");
        assert_eq!(read(b" as it is "), b" as it is ");
        assert!(line(&vec![b'x'; limits::TOKEN_FILE + 1][..]).is_err());
        let told = super::read(Some(Path::new("/dev/null")), true).err().unwrap().to_string();
        assert_eq!(told, "there is no passphrase: nothing was changed");
    }

    #[test]
    fn what_is_typed_is_not_echoed_and_the_terminal_is_itself_again() {
        use nix::pty::{OpenptyResult, openpty};
        let OpenptyResult { master, slave } = openpty(None, None).unwrap();
        let (mut master, slave) = (File::from(master), File::from(slave));
        let echoes = || tcgetattr(slave.as_fd()).unwrap().local_flags.contains(LocalFlags::ECHO);
        assert!(echoes());
        let quiet = Quiet::begin(&slave).unwrap();
        assert!(!echoes());
        master.write_all(b"five words\n").unwrap();
        assert_eq!(ask(&slave, "Passphrase: ").unwrap().expose(), b"five words");
        drop(quiet);
        assert!(echoes());
        let mut shown = vec![0; 64];
        let length = master.read(&mut shown).unwrap();
        assert!(!String::from_utf8_lossy(&shown[..length]).contains("five"), "{shown:?}");
    }
}

//! The key of the root, moved off the machine under a passphrase, and back. The intermediates sign everything from day to
//! day; the root's key is needed when they are to be renewed, and until then it is safest elsewhere.
//!
//! The file is a text of our own, because no library that is here writes encrypted keys (PKCS #8, PBES2): a header of
//! `name: value` lines, an empty line, then hexadecimal digits. The key is PBKDF2-HMAC-SHA256(passphrase, salt, rounds), 32
//! bytes; the digits are AES-256-GCM over root.pem followed by root.key, with the header, its empty line included, as
//! additional data and the tag of 16 bytes at the end. Some ten lines of Python's `cryptography` open it without plumb.

use std::fs::File;
use std::num::NonZeroU32;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use plumb_proto::secret::Secret;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};

use super::copy::{ROOT_KEY, belongs, der};
use super::files;

/// First line of the file.
const TITLE: &str = "plumb root key, encrypted";
/// OWASP Password Storage Cheat Sheet (2023) for PBKDF2-HMAC-SHA256; NIST SP 800-132 asks for as many as can be borne.
const ROUNDS: u32 = 600_000;
/// A file that asks for more is not waited for.
const MOST_ROUNDS: u32 = 20_000_000;
/// NIST SP 800-132, 5.1: 128 bits at least.
const SALT: usize = 16;
/// A passphrase has at least so many bytes.
pub const LEAST: usize = 12;
/// The end of the certificate, behind which the key begins.
const END: &str = "-----END CERTIFICATE-----\n";

/// The root with its key, as an encrypted text, for the authority in `dir`.
///
/// # Errors
/// The key is not there or is not the root's; the passphrase is too short.
pub fn seal(dir: &Path, passphrase: &Secret) -> anyhow::Result<String> {
    if passphrase.expose().len() < LEAST {
        bail!("the passphrase is too short: {LEAST} characters at least, better five words");
    }
    is_here(dir)?;
    let (pem, key) = (files::read_text(&dir.join("root.pem"))?, files::read_text(&dir.join(ROOT_KEY))?);
    belongs(&key, &der(&pem)?).context(ROOT_KEY)?;
    encrypt(&format!("{pem}{key}"), passphrase, ROUNDS)
}

/// Whether there is something to move.
///
/// # Errors
/// The key is not there.
pub fn is_here(dir: &Path) -> anyhow::Result<()> {
    if !dir.join(ROOT_KEY).exists() {
        bail!("the root key is not in {}: it was moved away before", dir.display());
    }
    Ok(())
}

/// Whether what was read from elsewhere is the root in `dir` and its key.
///
/// # Errors
/// It is not.
pub fn is_same(dir: &Path, pem: &str, key: &Secret) -> anyhow::Result<()> {
    let here = (files::read_text(&dir.join("root.pem"))?, files::read_text(&dir.join(ROOT_KEY))?);
    if (here.0.as_str(), here.1.as_bytes()) != (pem, key.expose()) {
        bail!("it is not the root in {}", dir.display());
    }
    Ok(())
}

/// Opens what [`seal`] gave: the root's certificate, and its key.
///
/// # Errors
/// It is no such file, it is damaged, or the passphrase is another.
pub fn open(text: &str, passphrase: &Secret) -> anyhow::Result<(String, Secret)> {
    let plain = decrypt(text, passphrase)?;
    let plain = std::str::from_utf8(plain.expose()).context("the file holds no text")?;
    let (pem, key) = plain.split_once(END).ok_or_else(|| anyhow!("the file holds no certificate"))?;
    belongs(key, &der(&format!("{pem}{END}"))?)?;
    Ok((format!("{pem}{END}"), Secret::new(key)))
}

/// Takes the root's key away from `dir`.
///
/// # Errors
/// The disk refuses.
pub fn remove(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(ROOT_KEY);
    std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    File::open(dir)?.sync_all().with_context(|| format!("sync {}", dir.display()))
}

/// Puts the root's key back into `dir`.
///
/// # Errors
/// There is one, or it belongs to another root; the disk refuses.
pub fn put_back(dir: &Path, key: &Secret) -> anyhow::Result<()> {
    let path = dir.join(ROOT_KEY);
    if path.exists() {
        bail!("{} is there already", path.display());
    }
    let root = der(&files::read_text(&dir.join("root.pem"))?).context("root.pem")?;
    let text = std::str::from_utf8(key.expose()).context("the key is no text")?;
    belongs(text, &root)
        .map_err(|_| anyhow!("this is the key of another root than {}", dir.join("root.pem").display()))?;
    let part = dir.join("root.key.part");
    let _ = std::fs::remove_file(&part); // of a time that was interrupted
    files::write(&part, key.expose())?;
    std::fs::rename(&part, &path).with_context(|| format!("rename to {}", path.display()))?;
    File::open(dir)?.sync_all().with_context(|| format!("sync {}", dir.display()))
}

fn key(passphrase: &Secret, salt: &[u8], rounds: u32) -> anyhow::Result<LessSafeKey> {
    let rounds = NonZeroU32::new(rounds).ok_or_else(|| anyhow!("no rounds"))?;
    let mut bytes = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, passphrase.expose(), &mut bytes);
    let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| anyhow!("no key"))?;
    bytes.fill(0);
    Ok(LessSafeKey::new(key))
}

fn encrypt(plain: &str, passphrase: &Secret, rounds: u32) -> anyhow::Result<String> {
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE_LEN]);
    let random = SystemRandom::new();
    random.fill(&mut salt).and_then(|()| random.fill(&mut nonce)).map_err(|_| anyhow!("no randomness"))?;
    let header = format!(
        "{TITLE}\nversion: 1\nkdf: pbkdf2-hmac-sha256\nrounds: {rounds}\nsalt: {}\ncipher: aes-256-gcm\nnonce: {}\n\n",
        hex(&salt),
        hex(&nonce)
    );
    let mut body = plain.as_bytes().to_vec();
    let key = key(passphrase, &salt, rounds)?;
    let sealed =
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header.as_bytes()), &mut body);
    sealed.map_err(|_| anyhow!("it cannot be encrypted"))?;
    let lines: Vec<String> = body.chunks(32).map(hex).collect();
    Ok(format!("{header}{}\n", lines.join("\n")))
}

fn decrypt(text: &str, passphrase: &Secret) -> anyhow::Result<Secret> {
    let (header, body) = text.split_once("\n\n").ok_or_else(|| anyhow!("this is no encrypted root key of plumb"))?;
    let mut lines = header.lines();
    if lines.next() != Some(TITLE) {
        bail!("this is no encrypted root key of plumb");
    }
    let mut next = |name: &str| {
        let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.ok_or_else(|| anyhow!("the file is damaged: its header does not say `{name}` where it should"))
    };
    let (version, kdf, rounds) = (next("version")?, next("kdf")?, next("rounds")?);
    let (salt, cipher, nonce) = (next("salt")?, next("cipher")?, next("nonce")?);
    if (version, kdf, cipher) != ("1", "pbkdf2-hmac-sha256", "aes-256-gcm") {
        bail!("a newer plumb made this file (version {version}, {kdf}, {cipher}): upgrade plumb");
    }
    let damaged = || anyhow!("the file is damaged");
    let rounds: u32 = rounds.parse().ok().filter(|rounds| *rounds <= MOST_ROUNDS).ok_or_else(damaged)?;
    let salt = bytes(salt).ok_or_else(damaged)?;
    let nonce = bytes(nonce).and_then(|nonce| <[u8; NONCE_LEN]>::try_from(nonce).ok()).ok_or_else(damaged)?;
    let mut body = bytes(&body.replace('\n', "")).ok_or_else(damaged)?;
    let aad = format!("{header}\n\n");
    let key = key(passphrase, &salt, rounds)?;
    let opened = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad.as_bytes()), &mut body);
    let length = opened.map_err(|_| anyhow!("the passphrase is another one, or the file is damaged"))?.len();
    body.truncate(length);
    Ok(Secret::new(body))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Authority;
    use super::super::tests::{NOW, folder, requested};
    use super::*;
    use plumb_proto::record::HostId;
    use std::time::Duration;

    fn words() -> Secret {
        Secret::new(*b"five words nobody would guess")
    }

    #[test]
    fn without_the_key_of_its_root_an_authority_still_issues_all_it_ever_issues() {
        let dir = folder("moved");
        let pin = Authority::open(&dir, NOW).unwrap().0.pin().unwrap();
        let sealed = seal(&dir, &words()).unwrap();
        remove(&dir).unwrap();
        let (authority, new) = Authority::open(&dir, NOW).unwrap();
        assert!(!new && authority.pin().unwrap() == pin);
        for generation in [1, 2] {
            authority.issue_host(&HostId([7; 16]), "web1", &requested(), generation, NOW).unwrap();
        }
        authority.issue_user("ann", Duration::from_secs(60), NOW).unwrap();
        authority.server(&["localhost".into()], NOW).unwrap();
        assert!(!dir.join(ROOT_KEY).exists(), "nothing makes another one");
        let again = seal(&dir, &words()).unwrap_err().to_string();
        assert_eq!(again, format!("the root key is not in {}: it was moved away before", dir.display()));
        let (pem, key) = open(&sealed, &words()).unwrap();
        assert_eq!(pem, authority.root_pem());
        put_back(&dir, &key).unwrap();
        assert!(put_back(&dir, &key).unwrap_err().to_string().ends_with("root.key is there already"));
    }

    #[test]
    fn the_key_of_another_root_is_not_put_back() {
        let (dir, other) = (folder("theirs"), folder("ours"));
        Authority::open(&dir, NOW).unwrap();
        Authority::open(&other, NOW).unwrap();
        let sealed = seal(&other, &words()).unwrap();
        remove(&dir).unwrap();
        let error = put_back(&dir, &open(&sealed, &words()).unwrap().1).unwrap_err().to_string();
        assert!(error.starts_with("this is the key of another root than "), "{error}");
        assert!(!dir.join(ROOT_KEY).exists());
    }

    #[test]
    fn a_passphrase_that_is_short_is_refused() {
        let dir = folder("short");
        Authority::open(&dir, NOW).unwrap();
        let error = seal(&dir, &Secret::new(*b"elevenchars")).unwrap_err().to_string();
        assert_eq!(error, "the passphrase is too short: 12 characters at least, better five words");
    }

    #[test]
    fn another_passphrase_or_any_changed_byte_opens_nothing() {
        let sealed = encrypt("plain", &words(), 1000).unwrap();
        assert_eq!(decrypt(&sealed, &words()).unwrap().expose(), b"plain");
        let wrong = "the passphrase is another one, or the file is damaged";
        let error = |text: &str, words: &Secret| decrypt(text, words).err().unwrap().to_string();
        assert_eq!(error(&sealed, &Secret::new(*b"five words")), wrong);
        for (index, byte) in sealed.bytes().enumerate().filter(|(_, byte)| *byte != b'\n') {
            let mut changed = sealed.clone().into_bytes();
            changed[index] = if byte == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(decrypt(&changed, &words()).is_err(), "{changed}");
        }
        assert_eq!(error("five words", &words()), "this is no encrypted root key of plumb");
    }
}

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// Judges bytes, unpacking as long as it takes.
fn proof(bytes: &[u8], name: &str) -> Proof {
    let mut file = Cursor::new(bytes);
    let size = bytes.len() as u64;
    match judge(&mut file, size, name.as_bytes()).unwrap() {
        First::Proof(proof) => proof,
        First::Walk(mut walk) => loop {
            if let Some(proof) = walk.go_on(&mut file, size, 10_000).unwrap() {
                return proof;
            }
        },
    }
}

/// In how many slices a file that must be gone through is judged, and as what.
fn slices(bytes: &[u8], limit: u64) -> (usize, Verdict) {
    let (mut file, size) = (Cursor::new(bytes), bytes.len() as u64);
    let First::Walk(mut walk) = judge(&mut file, size, b"a").unwrap() else { panic!("judged at once") };
    let mut slices = (1..).map(|slice| (slice, walk.go_on(&mut file, size, limit).unwrap()));
    slices.find_map(|(slice, proof)| Some((slice, proof?.verdict))).unwrap()
}

/// A gzip as the program writes it, in stored blocks.
pub(in super::super) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    out.extend_from_slice(b"db.sql\0");
    let mut chunks = plain.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        out.push(u8::from(chunks.peek().is_none()));
        let length = chunk.len() as u16;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(&gzip::crc32(0, plain).to_le_bytes());
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    out
}

/// A header of tar; `more` is put over it at its places.
fn header(name: &str, kind: u8, size: usize, more: &[(usize, u8)]) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[156] = kind;
    header[257..263].copy_from_slice(b"ustar\0");
    more.iter().for_each(|(at, byte)| header[*at] = *byte);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn tar(members: &[(&str, usize)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, size) in members {
        out.extend_from_slice(&header(name, b'0', *size, &[]));
        out.resize(out.len() + size.div_ceil(512) * 512, 0); // a file of zeros must not look like the end
    }
    out.resize(out.len() + 1_024, 0);
    out
}

/// One stored member, its directory, the end of the directory.
fn zip() -> Vec<u8> {
    let mut out = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
    out.extend_from_slice(b"aabc");
    let at = out.len() as u32;
    out.extend_from_slice(b"PK\x01\x02");
    out.resize(out.len() + 42, 0);
    out.push(b'a');
    let length = out.len() as u32 - at;
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

fn sqlite() -> Vec<u8> {
    let mut out = b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20\0\0\0\x05\0\0\0\x02".to_vec();
    out.resize(8_192, 7);
    out[92..96].copy_from_slice(&[0, 0, 0, 5]);
    out
}

fn seven_zip() -> Vec<u8> {
    let mut out = b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".to_vec();
    out.extend_from_slice(&10_u64.to_le_bytes());
    out.extend_from_slice(&5_u64.to_le_bytes());
    out.resize(32 + 15, 9);
    out
}

fn rdb() -> Vec<u8> {
    let mut out = b"REDIS0011\xfa\x09redis-ver\x057.0.1\xfe\0\xfb\x01\0".to_vec();
    out.extend_from_slice(b"\0\x01a\x01b\xff\x01\x02\x03\x04\x05\x06\x07\x08");
    out
}

const MYSQL: &[u8] =
    b"-- MySQL dump 10.13  Distrib 8.0.40\n--\nINSERT INTO `a` VALUES (1);\n-- Dump completed on 2026-11-21  2:00:07\n";
const SANDBOX: &[u8] = b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\nINSERT INTO `a` VALUES (1);\n-- Dump completed\n";
const PG: &[u8] = b"--\n-- PostgreSQL database dump\n--\n\n\\restrict AbC\n\nSET x = 1;\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict AbC\n\n";
const PG_OLD: &[u8] = b"--\n-- PostgreSQL database cluster dump\n--\n\nSET x = 1;\n--\n-- PostgreSQL database cluster dump complete\n--\n\n";
/// As pg_dumpall 15.18 writes it: what is restricted is released before the databases.
const PG_ALL: &[u8] = b"--\n-- PostgreSQL database cluster dump\n--\n\n\\restrict AbC\n\nCREATE ROLE a;\n\n\\unrestrict AbC\n\n\\connect template1\n\n--\n-- PostgreSQL database dump\n--\n\n\\restrict DeF\n\nSET x = 1;\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict DeF\n\n--\n-- PostgreSQL database cluster dump complete\n--\n\n";
const MANIFEST: &[u8] =
    b"{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [],\n\"Manifest-Checksum\": \"ab\"}\n";

/// Name, content, how many bytes of the end nobody misses.
fn whole() -> Vec<(&'static str, Vec<u8>, usize)> {
    vec![
        ("a.sql", MYSQL.to_vec(), 0),
        ("b.sql", SANDBOX.to_vec(), 0),
        ("c.sql", PG.to_vec(), 1),
        ("d.sql", PG_OLD.to_vec(), 4),
        ("e.sql", PG_ALL.to_vec(), 4),
        ("a.sql.gz", gzip(MYSQL), 0),
        ("a.tar", tar(&[("a", 3), ("zeros", 5_000)]), 0),
        ("a.tar.gz", gzip(&tar(&[("a", 3)])), 0),
        ("a.zip", zip(), 0),
        ("a.sqlite", sqlite(), 0),
        ("a.7z", seven_zip(), 0),
        ("a.rdb", rdb(), 0),
        ("backup_manifest", MANIFEST.to_vec(), 1),
    ]
}

#[test]
fn what_is_whole_is_complete_and_any_byte_less_is_not() {
    for (name, bytes, spare) in whole() {
        assert_eq!(proof(&bytes, name).verdict, Verdict::Complete, "{name}");
        for length in 0..bytes.len() - spare {
            let verdict = proof(&bytes[..length], name).verdict;
            assert_ne!(verdict, Verdict::Complete, "{name} cut to {length} of {}", bytes.len());
            if length > 100 {
                assert!(matches!(verdict, Verdict::Incomplete(_)), "{name} cut to {length}: {verdict:?}");
            }
        }
    }
}

/// Made by the real programs: `printf 'plumb\n%.0s' 1 2 3 | xz`, and so on.
const XZ: &[u8] = include_bytes!("fixtures/plumb.xz");
const BZIP2: &[u8] = include_bytes!("fixtures/plumb.bz2");
const ZSTD: &[u8] = include_bytes!("fixtures/plumb.zst");
const GZIP: &[u8] = include_bytes!("fixtures/plumb.gz");
const TAR: &[u8] = include_bytes!("fixtures/plumb.tar.gz");
const ZIP: &[u8] = include_bytes!("fixtures/plumb.zip");

#[test]
fn what_real_programs_wrote_is_complete_and_any_byte_less_is_not() {
    for (name, bytes) in [("xz", XZ), ("bz2", BZIP2), ("zst", ZSTD), ("gz", GZIP), ("tar.gz", TAR), ("zip", ZIP)] {
        assert_eq!(proof(bytes, name).verdict, Verdict::Complete, "{name}");
        for length in 1..bytes.len() {
            let verdict = proof(&bytes[..length], &format!("a.{name}")).verdict;
            assert!(matches!(verdict, Verdict::Incomplete(_)), "{name} cut to {length}: {verdict:?}");
        }
    }
}

#[test]
fn a_dump_without_comments_has_no_end_marker_and_is_not_truncated() {
    for first in ["/*M!999999\\- enable the sandbox mode */ ", "/*!999999\\- enable the sandbox mode */ "] {
        let compact = format!("{first}\n/*!40101 SET x = 1 */;\nINSERT INTO `a` VALUES ('\n-- MySQL dump');\n");
        let found = proof(compact.as_bytes(), "a.sql");
        assert_eq!((found.program, found.verdict), (Some("mariadb-dump"), NOT_KNOWN), "{first}");
        let cut = format!("{first}\n-- MariaDB dump 10.19\nINSERT INTO `a` VAL");
        assert!(matches!(proof(cut.as_bytes(), "a.sql").verdict, Verdict::Incomplete(_)), "{first}");
    }
}

/// Frames that are passed over.
fn skippable(count: usize) -> Vec<u8> {
    b"\x50\x2a\x4d\x18\x04\0\0\0size".repeat(count)
}

#[test]
fn a_file_of_pzstd_begins_with_a_frame_that_is_passed_over() {
    let two = [skippable(1), ZSTD.to_vec(), skippable(1), ZSTD.to_vec()].concat();
    assert_eq!(proof(&two, "a.sql.zst").verdict, Verdict::Complete);
    assert!(matches!(proof(&two[..two.len() - 1], "a.zst").verdict, Verdict::Incomplete(_)));
    assert!(matches!(proof(&skippable(1), "a.zst").verdict, Verdict::Incomplete(_)));
    let lz4 = [skippable(1), b"\x04\x22\x4d\x18".to_vec()].concat();
    assert_eq!(proof(&lz4, "a.lz4").verdict, NOT_KNOWN);
}

#[test]
fn a_tar_tells_sizes_in_extended_records_and_maps_of_sparse_files_in_more_blocks() {
    // What is bigger than its header can say is told before it; then comes its long name.
    let mut pax = header("p", b'x', 31, &[]);
    pax.extend_from_slice(b"11 atime=1\n12 size=999\n8 a=b=c\n\0");
    pax.truncate(512 + 31);
    pax.resize(1_024, 0);
    pax.extend_from_slice(&header("big", b'0', 0, &[]));
    pax.extend_from_slice(&[7; 1_024]);
    pax.extend_from_slice(&tar(&[("b", 3)]));
    assert_eq!(proof(&pax, "a.tar").verdict, Verdict::Complete);
    assert!(matches!(proof(&pax[..pax.len() - 1_024], "a.tar").verdict, Verdict::Incomplete(_)));

    let mut sparse = header("s", b'S', 600, &[(482, 1)]);
    let mut map = [[b'7'; 512], [b'7'; 512]];
    (map[0][504], map[1][504]) = (1, 0);
    sparse.extend_from_slice(&map.concat());
    sparse.extend_from_slice(&[7; 1_024]);
    sparse.extend_from_slice(&tar(&[("b", 3)]));
    assert_eq!(proof(&sparse, "a.tar").verdict, Verdict::Complete);
    assert!(matches!(proof(&sparse[..sparse.len() - 1_024], "a.tar").verdict, Verdict::Incomplete(_)));
}

#[test]
fn a_snapshot_of_restic_may_begin_like_anything() {
    for content in [b"\x1f\x8b\x08 secret".as_slice(), b"\x28\xb5\x2f\xfd"] {
        let sum: String = sha256(&[content]).0.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = proof(content, &format!("/backup/restic/snapshots/{sum}"));
        assert_eq!((found.program, found.verdict), (Some("restic"), Verdict::Complete));
    }
}

/// Zeros as deflate packs them best: a literal, then repetitions of 258 bytes, in fixed codes (RFC 1951, 3.2.6).
fn packed_zeros(repetitions: usize) -> Vec<u8> {
    let literal = "110".to_owned() + "00110000";
    let bits = literal + &("11000101".to_owned() + "00000").repeat(repetitions) + "0000000";
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let byte = |bits: &[u8]| bits.iter().enumerate().map(|(at, bit)| (bit - b'0') << at).sum();
    out.extend(bits.as_bytes().chunks(8).map(byte).collect::<Vec<u8>>());
    let zeros = vec![0; 1 + 258 * repetitions];
    out.extend_from_slice(&gzip::crc32(0, &zeros).to_le_bytes());
    out.extend_from_slice(&(zeros.len() as u32).to_le_bytes());
    out
}

#[test]
fn no_file_keeps_the_agent_for_long() {
    let many: Vec<(&str, usize)> = vec![("a", 3); 1_000];
    assert_eq!(slices(&tar(&many), 1), (6, Verdict::Complete));
    assert_eq!(slices(&[skippable(1_000), ZSTD.to_vec()].concat(), 1), (6, Verdict::Complete));
    let (count, verdict) = slices(&skippable(30_000), 1);
    assert_eq!((count, verdict), (101, Verdict::Unjudged("it is too big to be gone through")));
    // 40 KiB that become 34 MiB.
    assert_eq!(slices(&packed_zeros(138_000), u64::MAX), (3, Verdict::Complete));
}

#[test]
fn a_dump_appended_to_another_must_end_itself() {
    let two = [MYSQL, b"-- MySQL dump 10.13\nINSERT INTO"].concat();
    assert!(matches!(proof(&two, "a.sql").verdict, Verdict::Incomplete(_)));
    let noted = [MYSQL, b"-- done by backup.sh\n"].concat();
    assert_eq!(proof(&noted, "a.sql").verdict, Verdict::Complete);
}

#[test]
fn a_whole_gzip_may_hold_a_dump_that_is_not() {
    let found = proof(&gzip(&MYSQL[..60]), "a.sql.gz");
    assert_eq!((found.program, found.encrypted), (Some("mysqldump"), Some(false)));
    assert!(matches!(found.verdict, Verdict::Incomplete(_)));
}

#[test]
fn several_members_and_padding_are_one_gzip_and_a_flipped_bit_is_found() {
    let two = [gzip(b"one"), gzip(b"two")].concat();
    assert_eq!(proof(&two, "a.gz").verdict, Verdict::Complete);
    let padded = [two.as_slice(), &[0; 100]].concat();
    assert_eq!(proof(&padded, "a.gz").verdict, Verdict::Complete);
    let mut flipped = gzip(MYSQL);
    flipped[40] ^= 1;
    assert_eq!(proof(&flipped, "a.gz").verdict, Verdict::Incomplete("its checksum is wrong"));
}

#[test]
fn what_cannot_be_told_is_not_called_whole() {
    for (name, bytes) in [
        ("a.dump", b"PGDMP\x01\x0e\0".as_slice()),
        ("a.sql.gpg", b"\x85\x02\x0c"),
        ("a.sql", b"Salted__12345678"),
        ("a.sql", b"CREATE TABLE a (x int);\n"),
    ] {
        assert!(matches!(proof(bytes, name).verdict, Verdict::Unjudged(_)), "{name}");
    }
    assert_eq!(proof(b"Salted__12345678", "a.sql").encrypted, Some(true));
    assert_eq!(proof(b"", "a.sql").verdict, Verdict::Incomplete("it is empty"));
    assert!(matches!(proof(b"<html>404", "a.zip").verdict, Verdict::Incomplete(_)));
}

#[test]
fn barman_says_how_a_backup_ended() {
    let said = |text: &str| proof(text.as_bytes(), "backup.info").verdict;
    assert_eq!(said("backup_id=1\nstatus=DONE\n"), Verdict::Complete);
    assert!(matches!(said("status=FAILED\n"), Verdict::Incomplete(_)));
    assert!(matches!(said("status=STARTED\n"), Verdict::Unjudged(_)));
    assert!(matches!(said("[backup:current]\n"), Verdict::Unjudged(_)));
}

proptest! {
    #[test]
    fn any_bytes_get_a_verdict(which in 0_usize..13, at in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..64)) {
        let (name, mut bytes, _) = whole().swap_remove(which);
        let at = at.index(bytes.len());
        for (offset, byte) in noise.iter().enumerate() {
            if let Some(place) = bytes.get_mut(at + offset) {
                *place = *byte;
            }
        }
        proof(&bytes, name);
        proof(&noise, name);
    }
}

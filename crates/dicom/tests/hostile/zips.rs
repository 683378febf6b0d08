//! Zip archives that unpack to more than they say, or say what is not so.

use crate::support::*;
use crate::watch::{assert_refused, attacked};
use flate2::{Compress, Compression, FlushCompress};
use std::path::Path;

/// The process stays below this in all tests of this file.
const MOST_MIB: u64 = 700;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// An entry of a made-up archive.
#[derive(Clone)]
struct Made {
    name: Vec<u8>,
    method: u16,
    flags: u16,
    packed: Vec<u8>,
    /// The unpacked size that the archive says.
    size: u32,
    crc: u32,
    /// External attributes; the upper half is the Unix mode.
    attributes: u32,
    /// Extra field of the central directory.
    extra: Vec<u8>,
    /// The local header that the directory points to: an index of an entry, if not its own.
    shares: Option<usize>,
}

impl Made {
    fn new(name: &str, content: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        Self {
            name: name.as_bytes().to_vec(),
            method: STORED,
            flags: 0,
            packed: content.to_vec(),
            size: content.len() as u32,
            crc: crc.sum(),
            attributes: 0o100_644 << 16,
            extra: Vec::new(),
            shares: None,
        }
    }

    /// `content` and then `zeros` bytes, deflated.
    fn bomb(name: &str, content: &[u8], zeros: usize) -> Self {
        let mut made = Self::new(name, content);
        made.method = DEFLATED;
        made.size += zeros as u32;
        made.packed = deflated(content, zeros);
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let block = vec![0; 1 << 20];
        (0..zeros / block.len()).for_each(|_| crc.update(&block));
        made.crc = crc.sum();
        made
    }

    /// What both headers say of the entry, from its flags to the length of its name.
    fn described(&self, out: &mut Vec<u8>) {
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend([0; 4]);
        for number in [self.crc, self.packed.len() as u32, self.size] {
            out.extend(number.to_le_bytes());
        }
        out.extend((self.name.len() as u16).to_le_bytes());
    }

    fn local(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04\x14\x00".to_vec();
        self.described(&mut out);
        out.extend([0, 0]);
        out.extend(&self.name);
        out.extend(&self.packed);
        out
    }

    fn central(&self, at: u32) -> Vec<u8> {
        let mut out = b"PK\x01\x02\x14\x03\x14\x00".to_vec();
        self.described(&mut out);
        out.extend((self.extra.len() as u16).to_le_bytes());
        out.extend([0; 6]);
        out.extend(self.attributes.to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend(&self.name);
        out.extend(&self.extra);
        out
    }
}

/// `content` and `zeros` bytes, a multiple of a MiB, as a deflate stream.
fn deflated(content: &[u8], zeros: usize) -> Vec<u8> {
    let mut packer = Compress::new(Compression::best(), false);
    let mut out = Vec::new();
    let mut push = |mut input: &[u8], flush| loop {
        out.reserve(1 << 16);
        let before = packer.total_in();
        let status = packer.compress_vec(input, &mut out, flush).unwrap();
        input = &input[(packer.total_in() - before) as usize..];
        let is_done = match flush {
            FlushCompress::Finish => status == flate2::Status::StreamEnd,
            _ => input.is_empty() && out.len() < out.capacity(),
        };
        if is_done {
            break;
        }
    };
    push(content, FlushCompress::Sync);
    let block = vec![0; 1 << 20];
    (0..zeros >> 20).for_each(|_| push(&block, FlushCompress::None));
    push(&[], FlushCompress::Finish);
    out
}

fn archive(entries: &[Made]) -> Vec<u8> {
    archive_of(entries, entries.len() as u16)
}

/// An archive whose end record says `count` entries.
fn archive_of(entries: &[Made], count: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let starts: Vec<u32> = entries
        .iter()
        .map(|e| {
            let at = out.len() as u32;
            if e.shares.is_none() {
                out.extend(e.local());
            }
            at
        })
        .collect();
    let directory = out.len() as u32;
    for (e, &own) in entries.iter().zip(&starts) {
        out.extend(e.central(e.shares.map_or(own, |other| starts[other])));
    }
    let length = out.len() as u32 - directory;
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(directory.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// Three honest slices.
fn honest() -> Vec<Made> {
    let numbered = series(3).into_iter().enumerate();
    numbered
        .map(|(i, s)| Made::new(&format!("{i:02}.dcm"), &s.bytes()))
        .collect()
}

/// Reads the honest slices and `more` from one archive.
fn read_with(name: &str, more: Vec<Made>) -> Result<multirnet_dicom::Scan, multirnet_dicom::Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.zip");
    std::fs::write(&path, archive(&[honest(), more].concat())).unwrap();
    let result = attacked(name, MOST_MIB, || read(&path));
    // Nothing is unpacked to the disk.
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "{name}"
    );
    result
}

#[test]
fn an_archive_of_these_tests_reads() {
    assert_eq!(
        read_with("honest slices", vec![]).unwrap().volume.shape()[0],
        3
    );
}

#[test]
fn bombs_are_refused_by_what_the_archive_says() {
    let head = slice(9).bytes();
    let mut giant = Made::bomb("giant.dcm", &head, 0);
    giant.size = 3 << 30;
    giant.packed.resize(4 << 20, 0);
    let result = read_with("an entry of 3 GiB", vec![giant]);
    assert_refused("an entry of 3 GiB", result, "more than 2147483648");

    let mut liar = Made::bomb("liar.dcm", &head, 0);
    liar.size = 1 << 30;
    let result = read_with("an entry that cannot be so large", vec![liar]);
    assert_refused("a liar", result, "cannot unpack to 1073741824");

    // Six entries of 1.9 GiB, each of as many compressed bytes as that needs.
    let mut big = Made::bomb("big.dcm", &head, 0);
    big.size = 1900 << 20;
    big.packed.resize(2 << 20, 0);
    let many = (0..6).map(|i| {
        let mut one = big.clone();
        one.name = format!("big{i}.dcm").into_bytes();
        one
    });
    let result = read_with("11 GiB in one archive", many.collect());
    assert_refused("11 GiB", result, "unpack to");

    // Files that are not DICOM are never unpacked, so their sizes do not matter.
    let zeros = Made::bomb("notes.txt", b"text", 256 << 20);
    let scan = read_with("256 MiB of text", vec![zeros]).unwrap();
    assert_eq!(scan.volume.shape()[0], 3);
}

#[test]
fn an_entry_that_unpacks_to_another_size_is_refused_at_that_size() {
    let head = slice(9).bytes();
    let mut small = Made::bomb("small.dcm", &head, 512 << 20);
    small.size = head.len() as u32 + 10;
    let result = read_with("an entry that says too little", vec![small]);
    assert_refused("too little", result, "small.dcm");
    let mut large = Made::bomb("large.dcm", &head, 0);
    large.size += 100;
    let result = read_with("an entry that says too much", vec![large]);
    assert_refused("too much", result, "large.dcm");
    let mut stored = Made::new("stored.dcm", &head);
    stored.size += 100;
    let result = read_with("a stored entry that says too much", vec![stored]);
    assert_refused("stored", result, "cannot unpack");
}

#[test]
fn entries_that_overlap_are_refused() {
    // One kernel of compressed bytes that many entries share.
    let kernel = Made::bomb("00.dcm", &slice(9).bytes(), 8 << 20);
    let mut entries = vec![kernel.clone()];
    for i in 1..2000 {
        let mut other = kernel.clone();
        other.name = format!("{i:02}.dcm").into_bytes();
        other.shares = Some(0);
        entries.push(other);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.zip");
    std::fs::write(&path, archive(&entries)).unwrap();
    let result = attacked("2000 entries of one kernel", MOST_MIB, || read(&path));
    assert_refused("shared", result, "overlap");

    // Quoted overlap: each entry's data are the local headers of all that follow, stored in a deflate
    // block of their own, and the kernel.
    let names: Vec<String> = (0..50).map(|i| format!("{i:03}.dcm")).collect();
    let mut tail = Made::bomb(&names[49], &slice(9).bytes(), 1 << 20).local();
    let mut starts = vec![0usize];
    let mut sizes = vec![tail.len() - 37];
    for name in names[..49].iter().rev() {
        let quoted = tail.len() as u16;
        let mut packed = vec![0];
        packed.extend(quoted.to_le_bytes());
        packed.extend((!quoted).to_le_bytes());
        let mut entry = Made::new(name, &[]);
        entry.method = DEFLATED;
        entry.packed = [packed, tail.clone()].concat();
        entry.size = 4 << 20;
        let local = entry.local();
        starts = starts
            .iter()
            .map(|s| s + local.len() - tail.len())
            .collect();
        starts.push(0);
        sizes.push(entry.packed.len());
        tail = local;
    }
    let mut bytes = tail;
    let directory = bytes.len() as u32;
    for (i, name) in names.iter().enumerate() {
        let mut entry = Made::new(name, &[]);
        entry.method = DEFLATED;
        entry.size = 4 << 20;
        entry.packed = vec![0; sizes[49 - i]];
        bytes.extend(entry.central(starts[49 - i] as u32));
    }
    let length = bytes.len() as u32 - directory;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x32\0\x32\0");
    bytes.extend(length.to_le_bytes());
    bytes.extend(directory.to_le_bytes());
    bytes.extend([0, 0]);
    std::fs::write(&path, bytes).unwrap();
    let result = attacked("50 entries that quote each other", MOST_MIB, || read(&path));
    assert_refused("quoted", result, "overlap");
}

#[test]
fn nested_archives_are_not_opened() {
    let mut inner = archive(&honest());
    for depth in 0..40 {
        inner = archive(&[Made::new(&format!("{depth}.zip"), &inner)]);
    }
    let inner = Made::new("more.zip", &inner);
    let scan = read_with("40 nested archives", vec![inner.clone()]).unwrap();
    assert_eq!(scan.volume.shape()[0], 3);
    assert!(
        scan.notes.iter().any(|n| n.contains("1 file")),
        "{:?}",
        scan.notes
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.zip");
    std::fs::write(&path, archive(&[inner])).unwrap();
    assert_refused("only archives", read(&path), "not DICOM");
}

#[test]
fn names_are_only_names() {
    let names: [&[u8]; 9] = [
        b"/etc/evil.dcm",
        b"up/up/evil.dcm",
        b"C:\\Windows\\evil.dcm",
        b"a\0b.dcm",
        b"\x1b]52;c;ZXZpbA==\x07.dcm",
        b"\xff\xfe\x80.dcm",
        b"line\nbreak.dcm",
        // Parts of a name that begin with a dot count as hidden, also these.
        b"../../../../tmp/evil.dcm",
        b"..\\..\\evil.dcm",
    ];
    let entries = names.iter().enumerate().map(|(i, name)| {
        let mut made = Made::new("", &slice(3 + i).bytes());
        made.name = name.to_vec();
        made
    });
    // The others are slices of the series, whatever their names.
    let scan = read_with("names that lead away", entries.collect()).unwrap();
    assert_eq!(scan.volume.shape()[0], 10);
    assert!(!Path::new("/tmp/evil.dcm").exists());

    let long = (0..500).map(|i| {
        let mut made = Made::new("", b"not DICOM");
        made.name = format!("{}{i}.txt", "x".repeat(60_000)).into_bytes();
        made
    });
    read_with("500 names of 60000 characters", long.collect()).unwrap();

    // A second entry of the same name stands for the first one, or beside it. It is never a panic.
    let twice = Made::new("00.dcm", &slice(0).bytes());
    let _ = read_with("two entries of one name", vec![twice]);
}

#[test]
fn links_encrypted_entries_and_unknown_methods_are_refused() {
    let mut link = Made::new("link.dcm", b"/etc/passwd");
    link.attributes = 0o120_777 << 16;
    let result = read_with("a link", vec![link]);
    assert_refused("a link", result, "link.dcm");
    let mut locked = Made::new("locked.dcm", &slice(3).bytes());
    locked.flags = 1;
    let result = read_with("an encrypted entry", vec![locked]);
    assert_refused("an encrypted entry", result, "locked.dcm");
    for method in [1, 9, 12, 14, 93, 95, 98, 99, 0xFFFF] {
        let mut odd = Made::new("odd.dcm", &slice(3).bytes());
        odd.method = method;
        let result = read_with("an unknown method", vec![odd]);
        assert_refused("an unknown method", result, "odd.dcm");
    }
}

#[test]
fn lies_of_the_directory_are_refused_or_harmless() {
    // Zip64 sizes and offsets of 2^64 - 1.
    for field in [8u16, 16, 24, 28] {
        let mut lie = Made::new("lie.dcm", &slice(3).bytes());
        lie.extra.extend(1u16.to_le_bytes());
        lie.extra.extend(field.to_le_bytes());
        lie.extra.extend(vec![0xFF; usize::from(field)]);
        lie.size = u32::MAX;
        let result = read_with("a zip64 size of 2^64 - 1", vec![lie]);
        assert!(result.is_err());
    }
    // More entries than there are, by the end record, and by a zip64 one.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.zip");
    std::fs::write(&path, archive_of(&honest(), 0xFFFE)).unwrap();
    let _ = attacked("65534 entries that are not there", MOST_MIB, || read(&path));
    let whole = archive_of(&honest(), 0xFFFF);
    let end = whole.len() - 22;
    let mut bytes = whole[..end].to_vec();
    let at = bytes.len() as u64;
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0]);
    bytes.extend([0; 8]);
    for number in [u64::MAX - 1, u64::MAX - 1, u64::MAX / 2, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(at.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(&whole[end..]);
    std::fs::write(&path, bytes).unwrap();
    let result = attacked("2^64 entries that are not there", MOST_MIB, || read(&path));
    assert_refused("2^64 entries", result, "cannot be read");
}

#[test]
fn large_deflated_data_sets_are_read_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    for (i, mut s) in series(3).into_iter().enumerate() {
        s.syntax = "1.2.840.10008.1.2.1.99";
        // A private element of 128 MiB behind the pixels.
        let huge = [0xE1, 0x7F, 0x01, 0x10, b'O', b'B', 0, 0, 0, 0, 0, 8];
        let packed = deflated(&[&s.dataset()[..], &huge].concat(), 128 << 20);
        let file = [vec![0; 128], s.meta(), packed].concat();
        std::fs::write(folder.path().join(format!("{i:02}.dcm")), file).unwrap();
    }
    let scan = attacked("3 deflated data sets of 128 MiB", MOST_MIB, || {
        read(folder.path())
    });
    assert_eq!(scan.unwrap().volume.shape()[0], 3);
}

//! MetaImage headers.

use crate::support::{Bench, gzip, refused, zlib};
use multirnet_volume::{ErrorKind, io};

const META: &str = "ObjectType = Image\nNDims = 3\nBinaryData = True\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n\
    Offset = 0 0 0\nElementSpacing = 1 1 2\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n";

#[test]
fn metaimage_headers() {
    use ErrorKind::{Geometry, Malformed, Unsupported};
    let b = Bench::new();
    let write =
        |header: &str, voxels: &[u8]| b.file("a.mha", &[header.as_bytes(), voxels].concat());
    assert!(io::read(&write(META, &[1; 8])).is_ok());
    refused(&write(META, &[1; 7]), Malformed, "cut off");
    for (from, to, kind, says) in [
        (
            "ObjectType = Image",
            "\u{1}\u{2}PNG",
            Malformed,
            "not a MetaImage",
        ),
        ("NDims = 3\n", "", Malformed, "NDims"),
        (
            "NDims = 3",
            "NDims = 9999999999999",
            Malformed,
            "dimensions",
        ),
        ("NDims = 3", "NDims = 4", Malformed, "DimSize"),
        ("DimSize = 2 2 2", "DimSize = 2 0 2", Malformed, "no voxels"),
        (
            "DimSize = 2 2 2",
            "DimSize = 1000 1000 1000",
            Malformed,
            "cut off",
        ),
        ("DimSize = 2 2 2", "DimSize = 2 2", Malformed, "DimSize"),
        ("MET_UCHAR", "MET_STRING", Unsupported, "MET_STRING"),
        (
            "MET_UCHAR",
            "MET_UCHAR\nElementNumberOfChannels = 3",
            Unsupported,
            "3 values",
        ),
        ("1 1 2", "1 0 2", Geometry, "spacing"),
        ("1 1 2", "1 nan 2", Geometry, "spacing"),
        ("1 1 2", "1 -1 2", Geometry, "spacing"),
        ("ElementSpacing = 1 1 2\n", "", Malformed, "ElementSpacing"),
        ("1 0 0 0 1 0", "1 0 0 1 0 0", Geometry, "singular"),
        ("1 0 0 0 1 0", "1 0 0 0 5 0", Geometry, "unit"),
        (
            "BinaryData = True",
            "BinaryData = maybe",
            Malformed,
            "maybe",
        ),
        (
            "BinaryData = True",
            "BinaryData = True\nCompressedData = True",
            Malformed,
            "damaged",
        ),
        (
            "BinaryData = True",
            "BinaryData = False",
            Malformed,
            "cut off",
        ),
        (
            "BinaryData = True",
            "BinaryData = True\nHeaderSize = -3",
            Malformed,
            "HeaderSize",
        ),
        ("LOCAL", "LIST", Unsupported, "several files"),
        ("LOCAL", "a%03d.raw 1 3 1", Unsupported, "several files"),
        ("LOCAL", "/etc/passwd", Unsupported, "beside"),
        ("LOCAL", "none.raw", ErrorKind::Io, "check the path"),
        (
            "ElementDataFile = LOCAL\n",
            "",
            Malformed,
            "ElementDataFile",
        ),
    ] {
        assert!(META.contains(from), "{from:?}");
        let voxels: &[u8] = if to.is_empty() { b"" } else { &[200; 8] };
        refused(&write(&META.replacen(from, to, 1), voxels), kind, says);
    }
    let packed = META.replace("BinaryData = True", "CompressedData = True");
    let voxels = [1, 2, 3, 4, 5, 6, 7, 8];
    for bytes in [zlib(&voxels), gzip(&voxels)] {
        assert_eq!(
            io::read(&write(&packed, &bytes)).unwrap().at([0, 0, 1]),
            2.0
        );
        for len in 0..bytes.len() - 1 {
            refused(&write(&packed, &bytes[..len]), Malformed, "cut off");
        }
    }
    let text = META.replace("BinaryData = True", "BinaryData = False");
    let volume = io::read(&write(&text, b"1 -2.5 3 4\n5 6 7 8")).unwrap();
    assert_eq!(volume.at([0, 0, 1]), -2.5);
    let path = write(&text, b"1 -2.5 3 4\n5 x 7 8");
    refused(&path, Malformed, "voxel 5 is \"x\", not a number");
    refused(&write(&text, b"1 -2.5 3 4\n5 6 7 "), Malformed, "7 of 8");
    let last = META.replace("BinaryData = True", "HeaderSize = -1");
    let volume = io::read(&write(&last, b"junk12345678")).unwrap();
    assert_eq!(volume.at([0, 0, 0]), 49.0);
}

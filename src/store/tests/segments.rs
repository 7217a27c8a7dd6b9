//! Segment headers, and files that are no segments.

use super::super::segment::{BadHeader, FIRST_BATCH, Made, Name, check_header, create, parse_name, path};
use super::*;

fn made() -> (MemoryDisk, Arc<dyn disk::DiskFile>) {
    let disk = MemoryDisk::new();
    disk.create_directory(segment::DIRECTORY).unwrap();
    let made = create(&disk, (9, 0, 40), SEGMENT, &mut Vec::new()).unwrap();
    assert_eq!((made.number, made.end, made.file.length().unwrap()), (9, FIRST_BATCH, SEGMENT));
    (disk, made.file)
}

#[test]
fn names_tell_what_a_file_is() {
    assert_eq!(path(0x1f), "log/000000000000001f");
    assert_eq!(parse_name("000000000000001f"), Name::Segment(0x1f));
    assert_eq!(parse_name("spare-000000000000001f"), Name::Spare(0x1f));
    for foreign in
        ["1f", "000000000000001g", "spare-1f", "", "000000000000001f.bak", "lost+found", "+00000000000001f"]
    {
        assert_eq!(parse_name(foreign), Name::Foreign, "{foreign}");
    }
}

#[test]
fn a_header_names_its_maker_and_damage_to_it_is_found() {
    let (disk, file) = made();
    assert_eq!(
        check_header(&*file, 9).unwrap(),
        Ok(Made { by: env!("CARGO_PKG_VERSION").to_owned(), mark: 0, before: 40 })
    );
    assert_eq!(check_header(&*file, 8).unwrap(), Err(BadHeader::Damaged), "another segment's");
    for octet in 0..60 {
        disk.flip_bit(&path(9), octet, (octet % 8) as u8);
        assert!(check_header(&*file, 9).unwrap().is_ok(), "there is a copy");
        disk.flip_bit(&path(9), 2048 + octet, (octet % 8) as u8);
        assert_eq!(check_header(&*file, 9).unwrap(), Err(BadHeader::Damaged), "octet {octet}");
        disk.flip_bit(&path(9), octet, (octet % 8) as u8);
        disk.flip_bit(&path(9), 2048 + octet, (octet % 8) as u8);
    }
    file.set_length(10).unwrap();
    assert_eq!(check_header(&*file, 9).unwrap(), Err(BadHeader::Damaged));
}

#[test]
fn another_format_is_refused_with_its_number_and_its_maker() {
    let (disk, file) = made();
    let mut octets = [0; 56];
    file.read_exact_at(&mut octets, 0).unwrap();
    octets[12..16].copy_from_slice(&77u32.to_le_bytes());
    octets[32..40].copy_from_slice(b"9.8.7\0\0\0");
    file.write_all_at(&octets, 0).unwrap();
    file.write_all_at(&crc32c::crc32c(&octets).to_le_bytes(), 56).unwrap();
    for error in [recovered(&disk, true).err(), replay(&disk, |_, _| (), |_, _| {}).err()] {
        let expected = "the log has format 77, written by leveret 9.8.7; this version knows format 1";
        assert_eq!(error.unwrap().to_string(), expected);
    }
}

#[test]
fn a_spare_file_becomes_the_next_segment() {
    let disk = MemoryDisk::new();
    disk.create_directory(segment::DIRECTORY).unwrap();
    disk.open("log/spare-0000000000000005", Open::CreateNew).unwrap();
    write(&disk, "log/spare-0000000000000005", b"old octets", 5000);
    let mut spares = vec![5];
    let made = create(&disk, (6, 0, 0), SEGMENT, &mut spares).unwrap();
    assert!(spares.is_empty());
    assert_eq!(disk.files(), [("log/0000000000000006".to_owned(), SEGMENT)]);
    assert!(check_header(&*made.file, 6).unwrap().is_ok());
}

//! Batches: a flipped bit anywhere is found by a checksum, and never misread.

use proptest::{collection::vec, prelude::*};

use super::super::batch::{ALIGNMENT, Body, Builder, HEADER, bodies, read_header, read_records};
use super::*;

/// A file with a batch at its beginning.
fn file_with(records: &[Vec<u8>]) -> (MemoryDisk, Arc<dyn disk::DiskFile>) {
    let disk = MemoryDisk::new();
    let file = disk.open("batch", Open::CreateNew).unwrap();
    let mut builder = Builder::default();
    builder.begin(7);
    for record in records {
        builder.record(|out| out.extend_from_slice(record));
    }
    file.write_all_at(builder.seal(3, 6), 0).unwrap();
    (disk, file)
}

/// What is read: bodies in order, `None` for those that cannot be; `None` in all without a header.
fn read(file: &dyn disk::DiskFile) -> Option<Vec<Option<Vec<u8>>>> {
    let header = read_header(file, 0, 3).unwrap()?;
    let mut octets = Vec::new();
    read_records(file, 0, &header, &mut octets).unwrap();
    let found = bodies(&header, &octets).map(|body| match body {
        Body::Good(body) => Some(body.to_vec()),
        Body::Bad(_) | Body::Lost => None,
    });
    Some(found.collect())
}

proptest! {
    #[test]
    fn records_come_back_in_order(records in vec(vec(any::<u8>(), 0..2000), 1..20)) {
        let (_, file) = file_with(&records);
        prop_assert_eq!(file.length().unwrap() % ALIGNMENT, 0);
        let header = read_header(&*file, 0, 3).unwrap().unwrap();
        prop_assert_eq!((header.segment, header.number, header.durable), (3, 7, 6));
        prop_assert_eq!(header.span(), file.length().unwrap());
        prop_assert_eq!(read_header(&*file, 0, 4).unwrap(), None, "a batch of another use of the file");
        prop_assert_eq!(read(&*file), Some(records.into_iter().map(Some).collect::<Vec<_>>()));
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let records = [b"first".to_vec(), Vec::new(), vec![0; 40], b"the last one".to_vec()];
    let (disk, file) = file_with(&records);
    let end = HEADER + records.iter().map(|record| 8 + record.len()).sum::<usize>();
    let whole = read(&*file).unwrap();
    for (octet, bit) in (0..end as u64).flat_map(|octet| (0..8).map(move |bit| (octet, bit))) {
        assert!(disk.flip_bit("batch", octet, bit));
        let found = read(&*file);
        if octet < HEADER as u64 {
            assert_eq!(found, None, "octet {octet}, bit {bit}");
        } else {
            let found = found.unwrap();
            assert!(found.contains(&None), "octet {octet}, bit {bit}: not found");
            for (at, body) in found.iter().enumerate() {
                assert!(body.is_none() || body == &whole[at], "octet {octet}, bit {bit}: misread");
            }
        }
        disk.flip_bit("batch", octet, bit);
    }
    assert_eq!(read(&*file), Some(whole));
}

#[test]
fn a_damaged_length_takes_what_is_behind_it_and_a_damaged_body_does_not() {
    let records = [b"first".to_vec(), b"second".to_vec(), b"third".to_vec()];
    let (disk, file) = file_with(&records);
    let second = HEADER as u64 + 8 + 5;
    disk.flip_bit("batch", second + 8, 0);
    assert_eq!(read(&*file), Some(vec![Some(b"first".to_vec()), None, Some(b"third".to_vec())]));
    disk.flip_bit("batch", second + 8, 0);
    disk.flip_bit("batch", second, 1);
    assert_eq!(read(&*file), Some(vec![Some(b"first".to_vec()), None]));
}

#[test]
fn a_file_that_ends_early_gives_what_it_has() {
    let records = [b"first".to_vec(), vec![7; 6000]];
    let (_, file) = file_with(&records);
    file.set_length(4096).unwrap();
    assert_eq!(read(&*file), Some(vec![Some(b"first".to_vec()), None]));
    file.set_length(20).unwrap();
    assert_eq!(read(&*file), None);
}

#[test]
fn a_header_with_impossible_numbers_is_none() {
    // Checksummed all the same, as only malice would have it.
    for field in [16, 24, 32] {
        let (_, file) = file_with(&[b"x".to_vec()]);
        let mut octets = [0; HEADER];
        file.read_exact_at(&mut octets, 0).unwrap();
        octets[field..field + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let sum = crc32c::crc32c(&octets[8..]);
        octets[4..8].copy_from_slice(&sum.to_le_bytes());
        file.write_all_at(&octets, 0).unwrap();
        assert_eq!(read(&*file), None);
    }
}

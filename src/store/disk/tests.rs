//! The same questions to every disk: the models are only worth something if they answer as the real one.

use proptest::prelude::*;

use super::*;

/// Asks all kinds of disk.
fn on_each(ask: impl Fn(&str, &dyn Disk)) {
    let root = tempfile::tempdir().unwrap();
    ask("real", &RealDisk::new(root.path().to_owned()));
    ask("memory", &MemoryDisk::new());
    ask("faulty", &FaultyDisk::new(MemoryDisk::new()));
    ask("shared", &Arc::new(MemoryDisk::new()));
}

fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn names_behave_the_same_everywhere() {
    use io::ErrorKind::{AlreadyExists, InvalidInput, NotFound};
    on_each(|name, disk| {
        assert!(disk.list("log").unwrap().is_empty(), "{name}");
        assert_eq!(kind(disk.open("log/1", Open::CreateNew)), Some(NotFound), "{name}: no directory");
        assert_eq!(kind(disk.sync_directory("log")), Some(NotFound), "{name}");
        disk.create_directory("log/deep").unwrap();
        disk.create_directory("log").unwrap();
        assert_eq!(kind(disk.open("log/1", Open::Existing)), Some(NotFound), "{name}");
        assert_eq!(kind(disk.open("log/1", Open::CreateNew)), None, "{name}");
        assert_eq!(kind(disk.open("log/1", Open::CreateNew)), Some(AlreadyExists), "{name}");
        assert_eq!(kind(disk.open("log/deep/2", Open::CreateNew)), None, "{name}");
        assert_eq!(disk.list("log").unwrap(), ["1"], "{name}: directories and what is below are not listed");
        assert_eq!(kind(disk.rename("log/none", "log/2")), Some(NotFound), "{name}");
        assert_eq!(kind(disk.rename("log/1", "none/2")), Some(NotFound), "{name}");
        disk.rename("log/1", "log/1").unwrap();
        disk.rename("log/1", "log/deep/2").unwrap();
        assert_eq!(disk.list("log/deep").unwrap(), ["2"], "{name}: replaced");
        assert_eq!(kind(disk.remove("log/1")), Some(NotFound), "{name}");
        disk.remove("log/deep/2").unwrap();
        disk.sync_directory("log/deep").unwrap();
        disk.sync_directory("").unwrap();
        assert_eq!(kind(disk.open("../x", Open::CreateNew)), Some(InvalidInput), "{name}");
        assert_eq!(kind(disk.list("/")), Some(InvalidInput), "{name}");
    });
}

#[test]
fn handles_behave_the_same_everywhere() {
    on_each(|name, disk| {
        let file = disk.open("a", Open::CreateNew).unwrap();
        let reader = disk.open("a", Open::ReadOnly).unwrap();
        file.write_all_at(b"abc", 2).unwrap();
        let mut octets = [9; 8];
        assert_eq!(reader.read_at(&mut octets, 1).unwrap(), 4, "{name}");
        assert_eq!(&octets[..4], b"\0abc", "{name}");
        assert_eq!(reader.read_at(&mut octets, 100).unwrap(), 0, "{name}");
        assert_eq!(kind(reader.read_exact_at(&mut octets, 0)), Some(io::ErrorKind::UnexpectedEof), "{name}");
        let refused = reader.write_at(b"x", 0).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(errno::EBADF), "{name}");
        assert!(reader.set_length(0).is_err() && reader.allocate(0, 9).is_err(), "{name}");
        assert_eq!(file.write_at(b"", 50).unwrap(), 0, "{name}");
        assert_eq!(file.length().unwrap(), 5, "{name}: an empty write extends nothing");
        disk.remove("a").unwrap();
        file.write_all_at(b"z", 0).unwrap();
        reader.read_exact_at(&mut octets[..5], 0).unwrap();
        assert_eq!(&octets[..5], b"z\0abc", "{name}: an open file outlives its name");
    });
}

/// A change of a file.
#[derive(Debug, Clone)]
enum Step {
    Write(u64, Vec<u8>),
    Allocate(u64, u64),
    Discard(u64, u64),
    SetLength(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let offset = || 0u64..20_000;
    prop_oneof![
        (offset(), prop::collection::vec(any::<u8>(), 0..5000))
            .prop_map(|(at, octets)| Step::Write(at, octets)),
        (offset(), 0u64..9000).prop_map(|(at, length)| Step::Allocate(at, length)),
        (offset(), 0u64..9000).prop_map(|(at, length)| Step::Discard(at, length)),
        offset().prop_map(Step::SetLength),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn contents_behave_the_same_everywhere(steps in prop::collection::vec(step(), 1..20)) {
        let root = tempfile::tempdir().unwrap();
        let disks: [&dyn Disk; 2] = [&RealDisk::new(root.path().to_owned()), &MemoryDisk::new()];
        let files = disks.map(|disk| disk.open("a", Open::CreateNew).unwrap());
        for step in &steps {
            let contents = files.each_ref().map(|file| {
                match step {
                    Step::Write(at, octets) => file.write_all_at(octets, *at).unwrap(),
                    Step::Allocate(at, length) => file.allocate(*at, *length).unwrap(),
                    Step::Discard(at, length) => file.discard(*at, *length).unwrap(),
                    Step::SetLength(length) => file.set_length(*length).unwrap(),
                }
                let mut octets = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
                file.read_exact_at(&mut octets, 0).unwrap();
                octets
            });
            prop_assert_eq!(&contents[0], &contents[1]);
        }
    }
}

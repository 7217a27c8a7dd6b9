//! File systems made for one test: an ext4 whose power can be cut, and one in memory. Only inside
//! [`crate::isolated`].

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use crate::isolated::run;

/// EXT4_IOC_SHUTDOWN, which is _IOR('X', 125, __u32), with EXT4_GOING_FLAGS_NOLOGFLUSH: from now on nothing
/// gets to the device any more, the journal included.
const CUT: &str = "import fcntl, os, struct, sys\n\
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// An ext4 in an image file, mounted.
pub struct Disk {
    image: PathBuf,
    mount_point: PathBuf,
}

impl Disk {
    /// `None`, and why, where no such disk can be made.
    pub fn new(directory: &Path, mebibytes: u64) -> Option<Disk> {
        let disk = Disk { image: directory.join("image"), mount_point: directory.join("disk") };
        File::create(&disk.image).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(&disk.mount_point).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        disk.mount()?;
        Some(disk)
    }

    /// For a data directory.
    pub fn data(&self) -> PathBuf {
        self.mount_point.join("data")
    }

    fn mount(&self) -> Option<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount_point))
    }

    /// Cuts the power. What was not synced before is lost, and every sync fails from now on.
    pub fn cut(&self) {
        run(Command::new("python3").args(["-c", CUT]).arg(&self.mount_point)).expect("the power is cut");
    }

    /// Gives the power back, once nobody uses the disk; the journal is replayed.
    pub fn restore(&self) {
        // The kernel may be closing the files of a killed process still.
        let unmounted = (0..600).any(|_| {
            let done = run(Command::new("umount").arg(&self.mount_point)).is_some();
            if !done {
                thread::sleep(Duration::from_millis(100));
            }
            done
        });
        assert!(unmounted, "somebody uses the disk still");
        self.mount().expect("the disk is there again");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // So that the directory below can be removed. The mount itself would end with its namespace.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.mount_point));
    }
}

/// A file system in memory, mounted.
pub struct MemoryDisk(PathBuf);

impl MemoryDisk {
    pub fn new(directory: &Path, mebibytes: u64) -> Option<MemoryDisk> {
        let mount_point = directory.join("memory");
        fs::create_dir(&mount_point).unwrap();
        let options = format!("size={mebibytes}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&mount_point))?;
        Some(MemoryDisk(mount_point))
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for MemoryDisk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

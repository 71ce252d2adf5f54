//! Media that people bring from Windows: NTFS, exFAT and FAT through FUSE, where there is no
//! RENAME_NOREPLACE.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::common::{
    programs,
    stage::{Done, Stage},
};

/// A file system of a kind, mounted below a folder; it goes with this.
struct Mounted {
    at: PathBuf,
    /// Whether it keeps modes, and tells upper from lower case.
    keeps: bool,
    /// The loop device that its driver wants in place of a file.
    device: Option<String>,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        match &self.device {
            None => drop(Command::new("fusermount3").arg("-u").arg(&self.at).status()),
            Some(device) => {
                let _ = Command::new("umount").arg(&self.at).status();
                let _ = Command::new("losetup").args(["-d", device]).status();
            }
        }
    }
}

const KINDS: [&str; 4] = ["ntfs", "exfat", "vfat", "bindfs"];

fn ran(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}

/// Mounts one, where this machine can.
fn mounted(kind: &str, below: &Path) -> Option<Mounted> {
    let (at, image) = (below.join(kind), below.join(format!("{kind}.img")));
    fs::create_dir(&at).unwrap();
    fs::File::create(&image).unwrap().set_len(24 << 20).unwrap();
    let mut device = None;
    let done = match kind {
        "ntfs" => {
            ran(Command::new("mkfs.ntfs").args(["-F", "-Q"]).arg(&image))
                && ran(Command::new("ntfs-3g").arg(&image).arg(&at))
        }
        "exfat" => {
            let line = ["--find", "--show"];
            let made = ran(Command::new("mkfs.exfat").arg(&image));
            let set = Command::new("losetup").args(line).arg(&image).output();
            let set = set.ok().filter(|set| made && set.status.success());
            device = set.map(|set| String::from_utf8(set.stdout).unwrap().trim().to_owned());
            let mount = |device| ran(Command::new("mount.exfat-fuse").arg(device).arg(&at));
            device.as_ref().is_some_and(mount)
        }
        "vfat" => {
            ran(Command::new("mkfs.vfat").arg(&image))
                && ran(Command::new("fusefat").args(["-o", "rw+"]).arg(&image).arg(&at))
        }
        _ => {
            fs::remove_file(&image).unwrap();
            fs::create_dir(&image).unwrap();
            ran(Command::new("bindfs").arg(&image).arg(&at))
        }
    };
    let mounted = Mounted { at, keeps: kind == "bindfs", device };
    if done { Some(mounted) } else { None }
}

/// What every medium must do: take what is new, whole, and overwrite nothing. `run` runs a
/// custodian's program on it.
fn carries(at: &Path, run: &dyn Fn(&[&str]) -> (bool, String), beside: &Path) {
    let file = |name: &str| at.join(name).display().to_string();
    let (identity, taken) = (file("cyd.identity"), file("taken"));
    let (done, said) = run(&["identity", "new", &identity, "--no-passphrase"]);
    assert!(done, "{said}");
    let bytes = fs::read(&identity).unwrap();
    assert!(bytes.windows(16).any(|some| some == b"AGE-SECRET-KEY-1"));
    // What is there stays, whatever it is; a link that leads nowhere too, where there are links.
    fs::write(&taken, "somebody's").unwrap();
    let dangling = std::os::unix::fs::symlink("nowhere", file("dangling")).is_ok();
    let taken_by_link = dangling.then(|| file("dangling"));
    for name in [Some(identity.clone()), Some(taken.clone()), taken_by_link].into_iter().flatten() {
        let (done, said) = run(&["identity", "new", &name, "--no-passphrase"]);
        assert!(!done && said.contains("FILE-EXISTS"), "{name}: {said}");
    }
    assert_eq!(fs::read(&identity).unwrap(), bytes);
    assert_eq!(fs::read(&taken).unwrap(), b"somebody's");
    // Codes are read into it.
    let to = file("scanned");
    let pictures = fs::read_dir(beside).unwrap().map(|one| one.unwrap().path());
    let pictures: Vec<String> = pictures.map(|one| one.display().to_string()).collect();
    let scan = [vec!["scan"], pictures.iter().map(String::as_str).collect(), vec!["--to", &to]];
    let (done, said) = run(&scan.concat());
    assert!(done, "{said}");
    assert_eq!(fs::read(at.join("scanned/offer.txt")).unwrap(), b"an offer");
    // Nothing half-written is left behind.
    let names = fs::read_dir(at).unwrap().map(|one| one.unwrap().file_name());
    let drafts = names.filter(|name| name.to_string_lossy().ends_with(".part"));
    assert_eq!(drafts.count(), 0);
}

/// The codes of a small file, as pictures on this machine's disk.
fn codes(folder: &Path) -> PathBuf {
    let pictures = folder.join("pictures");
    let files = [("offer.txt".to_owned(), b"an offer".to_vec())];
    custody::codes::show::pictures(&files, "offer", &pictures).unwrap();
    pictures
}

fn custodian(before: &[&str], arguments: &[&str]) -> (bool, String) {
    let program = programs::CUSTODIAN;
    let mut command = match before {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    let output = command.args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_medium_without_the_flag_takes_what_is_new_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = codes(folder.path());
    // What the kernel says of such a file system, here of every one.
    let inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"];
    let inject = [&inject[..], &["-e", "inject=renameat2:error=EINVAL"]].concat();
    let at = folder.path().join("injected");
    fs::create_dir(&at).unwrap();
    carries(&at, &|arguments| custodian(&inject, arguments), &pictures);
    // The same, where there are no links either.
    let no_links = ["-e", "trace=renameat2,link,linkat", "-e", "inject=link,linkat:error=EPERM"];
    let no_links = [&inject[..], &no_links].concat();
    let at = folder.path().join("without-links");
    fs::create_dir(&at).unwrap();
    carries(&at, &|arguments| custodian(&no_links, arguments), &pictures);
    let mut real = Vec::new();
    for kind in KINDS {
        if let Some(medium) = mounted(kind, folder.path()) {
            carries(&medium.at, &|arguments| custodian(&[], arguments), &pictures);
            real.push(kind);
        }
    }
    println!("counted: renameat2 injected twice; through /dev/fuse itself: {real:?}");
}

#[test]
fn a_ceremony_folder_or_mirror_lies_where_modes_and_case_are_kept() {
    let stage = Stage::at(Done::Init);
    let mut real = Vec::new();
    for kind in KINDS {
        let Some(medium) = mounted(kind, &stage.path("")) else { continue };
        real.push(kind);
        let (mirror, dir) = (medium.at.join("mirror"), medium.at.join("ceremony"));
        let mirrored = stage.side("hoster", &["--mirror", mirror.to_str().unwrap(), "status"]);
        let words = stage.words("plan", &stage.plan_words());
        let mut begin = Command::new(programs::TENANT);
        begin.current_dir(stage.path("")).arg("--dir").arg(&dir);
        let begun = begin.args(["init", "plan/ceremony.toml", "--words", &words]).output().unwrap();
        match medium.keeps {
            true => {
                mirrored.ok();
                assert!(begun.status.success(), "{begun:?}");
                assert!(mirror.join("log.jsonl").is_file());
            }
            false => {
                mirrored.refused("FILE-SYSTEM");
                let said = String::from_utf8_lossy(&begun.stderr).into_owned();
                assert!(begun.status.code() == Some(3), "{said}");
                assert!(said.contains("FILE-SYSTEM") && said.contains("mkfs.ext4"), "{said}");
                assert!(!mirror.join("log.jsonl").exists() && !dir.join("log.jsonl").exists());
            }
        }
    }
    println!("counted: through /dev/fuse itself: {real:?}");
}

//! What the kernel says of process, network, medium and token, against what the kernel is told.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
};

use super::of;
use crate::common::{
    production::{hoster, log, machine_rules, stage},
    programs, run,
    stage::{Done, Family, Setting, Stage, ended},
};

/// The memory of a process that is not dumpable is root's (proc(5)). A process of root has it so
/// either way; where the tests are root's, the program runs as somebody else.
#[test]
fn in_production_the_process_cannot_be_dumped_or_traced() {
    const NOBODY: u32 = 65534;
    let stage = stage(&machine_rules(), |plan| plan);
    let user = fs::metadata(stage.dir.path()).unwrap().uid();
    let (user, before) = match user {
        0 => (
            NOBODY,
            format!("exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \"$@\""),
        ),
        user => (user, "exec \"$@\"".to_owned()),
    };
    // A copy that this user may run, in a folder where it may write.
    let program = stage.path("keyferry-hoster");
    fs::copy(programs::HOSTER, &program).unwrap();
    run(Command::new("chown").args(["-R", &user.to_string()]).arg(stage.dir.path()));
    let owner = |process: u32| fs::metadata(format!("/proc/{process}/mem")).unwrap().uid();
    let started = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("echo process $$; {before}"), "sh"]);
        command.args(arguments).current_dir(stage.dir.path());
        let mut session = rexpect::session::spawn_command(command, Some(600_000)).unwrap();
        session.exp_string("process ").unwrap();
        let process: u32 = session.read_line().unwrap().trim().parse().unwrap();
        (session, process)
    };

    // As any program is: dumpable, and so its owner's.
    let (mut cat, process) = started(&["sh", "-c", "echo ready; read line"]);
    cat.exp_string("ready").unwrap();
    assert_eq!(owner(process), user);

    let folder = stage.path("hoster").display().to_string();
    let program = program.display().to_string();
    let init = ["--mirror", "mirror", "init", "plan/ceremony.toml"];
    let (mut session, process) = started(&[&[&*program, "--dir", &folder], &init[..]].concat());
    session.exp_string("Type them here").unwrap();
    assert_eq!(owner(process), 0, "not dumpable");
    assert_no_core(process);
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let locked = status.lines().find(|line| line.starts_with("VmLck:")).unwrap();
    let locked = !locked.split_whitespace().any(|word| word == "0");
    session.send_line(&stage.plan_words()).unwrap();
    let screen = session.exp_eof().unwrap();
    // The record says of the memory lock what was so.
    let entry = log(&stage).pop().unwrap_or_else(|| panic!("{screen}"));
    let said = of(&entry, "PREFLIGHT-MEMORY-LOCK")[0]["outcome"].clone();
    assert_eq!(said, if locked { "holds" } else { "waived" });
    assert_eq!(of(&entry, "PREFLIGHT-CORE-DUMP")[0]["outcome"], "holds");
}

fn assert_no_core(process: u32) {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"]);
}

/// A custodian has no plan, and a passphrase all the same.
#[test]
fn a_custodians_program_leaves_no_core_either() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo process $$; exec \"$@\"", "sh"]);
    command.arg(programs::CUSTODIAN);
    command.args(["identity", "new"]).arg(folder.path().join("identity"));
    let mut session = rexpect::session::spawn_command(command, Some(600_000)).unwrap();
    session.exp_string("process ").unwrap();
    let process = session.read_line().unwrap().trim().parse().unwrap();
    session.exp_string("New passphrase").unwrap();
    assert_no_core(process);
}

#[test]
fn a_medium_is_judged_by_its_mount() {
    let stage = Stage::at(Done::Init);
    for folder in ["/", "/proc", "/dev/shm", "medium"] {
        let options = run(Command::new("findmnt")
            .args(["-n", "-o", "OPTIONS", "-T", folder])
            .current_dir(stage.dir.path()));
        let options = String::from_utf8(options).unwrap();
        // The uppermost of several mounts on one folder comes last.
        let options: Vec<&str> = options.lines().last().unwrap().split(',').collect();
        let right = ["nosuid", "nodev", "noexec"].iter().all(|option| options.contains(option));
        hoster(&stage, &[], &["preflight", "--medium", folder]).ok();
        let entry = log(&stage).pop().unwrap();
        let expected = if right { "holds" } else { "broken" };
        let found = of(&entry, "PREFLIGHT-MEDIUM")[0];
        assert_eq!(found["outcome"], expected, "{found} {options:?}");
    }
    hoster(&stage, &[], &["preflight", "--medium", "nowhere"]).ok();
    let entry = log(&stage).pop().unwrap();
    assert_eq!(of(&entry, "PREFLIGHT-MEDIUM")[0]["outcome"], "broken");

    let namespace = ["--map-root-user", "--mount", "sh", "-c"];
    let possible = Command::new("unshare").args(namespace).arg("true").status();
    if !possible.is_ok_and(|status| status.success()) {
        return eprintln!("not tried: this machine lets nobody mount a medium of their own");
    }
    for (options, missing) in [("nosuid,nodev,noexec", None), ("nosuid,nodev", Some("noexec"))] {
        let script = format!("mount -t tmpfs -o {options} none medium && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(namespace).args([&script, "sh", programs::HOSTER]);
        command.args(["--dir", "hoster", "preflight", "--medium", "medium"]);
        ended(command.current_dir(stage.dir.path())).ok();
        let entry = log(&stage).pop().unwrap();
        let found = of(&entry, "PREFLIGHT-MEDIUM")[0]["found"].as_str().unwrap();
        let expected = match missing {
            None => "medium is mounted nosuid,nodev,noexec".to_owned(),
            Some(option) => format!("medium is mounted without {option}"),
        };
        assert_eq!(found, expected);
    }
}

/// A network of its own, made by the kernel itself: what the unit tests have as texts.
#[test]
fn a_planned_network_hsm_has_one_interface_and_no_way_further() {
    let namespace = ["--map-root-user", "--net", "--mount", "sh", "-c"];
    let link = "mount -t sysfs none /sys && ip link add hsm0 type veth peer name wlan0 && ip addr add 10.0.0.1/24 dev hsm0 && ip link set hsm0 up";
    let possible = Command::new("unshare").args(namespace).arg(link).status();
    if !possible.is_ok_and(|status| status.success()) {
        return eprintln!("not tried: this machine lets nobody make a network of their own");
    }
    let hsm = "hsm = { manufacturer = \"M\", model = \"X\", serials = [\"1\"], network = { interface = \"hsm0\", peer = \"10.0.0.9\" } }";
    let fabrikam = "name = \"Fabrikam\"\n";
    let mut stage = Stage::new(|plan| plan.replace(fabrikam, &format!("{fabrikam}{hsm}\n")));
    stage.walk_to(Done::Init);
    for (more, broken) in [
        ("true", None),
        ("ip route add 10.0.0.9/32 dev hsm0", None),
        ("ip route add default via 10.0.0.9", Some("0.0.0.0/0 on hsm0 by a gateway")),
        ("ip -6 route add default dev hsm0", Some("::/0 on hsm0")),
        ("ip route add 128.0.0.0/1 dev hsm0", Some("128.0.0.0/1 on hsm0")),
        ("ip route add 10.9.0.0/16 via 10.0.0.9", Some("10.9.0.0/16 on hsm0 by a gateway")),
        ("ip link set wlan0 up", Some("up: wlan0")),
        ("ip link set hsm0 down", None),
    ] {
        let mut command = Command::new("unshare");
        command.args(namespace).arg(format!("{link} && {more} && exec \"$@\""));
        command.args(["sh", programs::HOSTER, "--dir", "hoster", "preflight"]);
        ended(command.current_dir(stage.dir.path())).ok();
        let entry = log(&stage).pop().unwrap();
        let found = of(&entry, "PREFLIGHT-NETWORK")[0];
        let expected = if broken.is_some() { "broken" } else { "holds" };
        assert_eq!(found["outcome"], expected, "{more}: {found}");
        let text = found["found"].as_str().unwrap();
        assert!(text.contains(broken.unwrap_or("no interface but hsm0 is up")), "{more}: {text}");
    }
}

#[test]
fn a_locked_pin_says_who_mends_it() {
    let setting = Setting { hoster: Family::Kryoptic, ..Setting::default() };
    let mut stage = Stage::with(setting, |plan| plan);
    stage.walk_to(Done::Init);
    let preflight = |stage: &Stage| {
        let said = stage.hoster(&["preflight"]).ok();
        (said, log(stage).pop().unwrap())
    };
    assert_eq!(of(&preflight(&stage).1, "PIN-COUNT-LOW")[0]["outcome"], "holds");
    for _ in 0..12 {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(Family::Kryoptic.module());
        tool.args(["--slot", "2", "--login", "--pin", "wrong-wrong", "--list-objects"]);
        let tool = tool.env("KRYOPTIC_CONF", stage.path("kryoptic.conf"));
        tool.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    }
    let (said, entry) = preflight(&stage);
    let found = of(&entry, "PIN-COUNT-LOW")[0];
    assert_eq!(
        (&found["outcome"], &found["found"]),
        (&"broken".into(), &"the PIN is locked".into())
    );
    assert!(said.contains("security officer sets a new PIN"), "{said}");
    let text = stage.hoster(&["kek", "create"]).refused("PIN-COUNT-LOW");
    assert!(text.contains("no key is lost by that"), "{text}");
}

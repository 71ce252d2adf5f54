//! Judgements over texts that kernels have written.

use super::*;
use crate::preflight::network::{
    Interface, Route, flags, interface_names, network, routes_v4, routes_v6,
};
use crate::preflight::process::{Process, core_dump, may_lock, memory_lock, ptrace, swap};
use record::plan::NetworkPlan;
use record::{Entry, Event, Head};

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, rule: Rule, found: &str) {
    match result.unwrap_err() {
        Error::Refused(refusal) => {
            assert_eq!(refusal.rule, rule);
            assert!(refusal.found.contains(found), "{}", refusal.found);
            assert!(!refusal.remedy.is_empty() && !refusal.expected.is_empty());
        }
        other => panic!("{other}"),
    }
}

const NO_SWAP: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

#[test]
fn swap_areas_are_named_and_another_text_is_not_trusted() {
    swap(NO_SWAP).unwrap();
    let two = format!(
        "{NO_SWAP}/dev/dm-1                               partition\t999420\t\t0\t\t-2\n/swap\\040file file\t\t524284\t\t12\t\t-3\n"
    );
    refused(swap(&two), Rule::PreflightSwap, "/dev/dm-1, /swap\\040file");
    for text in ["", "\n", "/dev/sda2 partition 1 0 -2\n"] {
        refused(swap(text), Rule::PreflightSwap, "not what a Linux kernel");
    }
}

const STATUS: &str = "Name:\tkeyferry-hoster\nUmask:\t0022\nPid:\t14677\nPPid:\t14672\nTracerPid:\t0\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nNoNewPrivs:\t0\n";

#[test]
fn a_tracer_or_leave_to_trace_breaks_the_rule() {
    for scope in ["1\n", "2\n", "3"] {
        ptrace(STATUS, Some(scope)).unwrap();
    }
    let rule = Rule::PreflightPtrace;
    let traced = STATUS.replace("TracerPid:\t0", "TracerPid:\t4711");
    refused(ptrace(&traced, Some("3")), rule, "4711");
    refused(ptrace(STATUS, Some("0\n")), rule, "ptrace_scope");
    refused(ptrace(STATUS, Some("yes")), rule, "ptrace_scope");
    refused(ptrace(STATUS, None), rule, "no Yama");
    for text in ["", "TracerPid", "TracerPid:\tx", "NoTracerPid:\t0"] {
        refused(ptrace(text, Some("1")), rule, "no TracerPid");
    }
}

#[test]
fn the_capability_to_lock_is_one_bit() {
    assert!(!may_lock(STATUS));
    assert!(may_lock("CapEff:\t000001ffffffffff\n"));
    assert!(may_lock("CapEff:\t0000000000004000\n"));
    assert!(!may_lock("CapEff:\t000001ffffffbfff\n"));
    for text in ["", "CapEff:\n", "CapEff:\tzz", "CapPrm:\t000001ffffffffff"] {
        assert!(!may_lock(text), "{text}");
    }
}

#[test]
fn hardening_is_judged_by_what_is_read_back() {
    let hard = Process { core_limits: [Some(0), Some(0)], dumpable: false, locked: Ok(()) };
    core_dump(&hard).unwrap();
    memory_lock(&hard).unwrap();
    for limits in [[None, None], [Some(0), None], [Some(0), Some(1)]] {
        let soft = Process { core_limits: limits, ..hard.clone() };
        refused(core_dump(&soft), Rule::PreflightCoreDump, "limited");
    }
    let soft = Process {
        dumpable: true,
        locked: Err("no more than 8192 KiB may be locked".into()),
        ..hard
    };
    refused(core_dump(&soft), Rule::PreflightCoreDump, "dumpable");
    refused(memory_lock(&soft), Rule::PreflightMemoryLock, "8192 KiB");
}

const DEV: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    6460      58    0    0    0     0          0         0     6460      58    0    0    0     0       0          0
  eth1: 293546106   13314    0    0    0     0          0         0   704170    6606    0    0    0     0       0          0
wlp0s20f3: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
eth0:1: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
";

#[test]
fn interfaces_are_up_by_their_flags() {
    let names = interface_names(DEV).unwrap();
    assert_eq!(names, ["lo", "eth1", "wlp0s20f3", "eth0:1"]);
    for text in ["", "eth0: 1 2 3", "Inter-|\n face |\nnonsense"] {
        assert_eq!(interface_names(text), None, "{text}");
    }
    assert_eq!(flags("0x1003\n"), Some(0x1003));
    for text in ["", "1003", "0x", "0xzz", "-1"] {
        assert_eq!(flags(text), None, "{text}");
    }

    let one = |name: &str, flags| Interface { name: name.into(), flags };
    // The loopback is up, the others are down.
    let down = [one("lo", Some(0x9)), one("eth1", Some(0x1002)), one("ifb0", Some(0x82))];
    network(&down, &[], None).unwrap();
    let rule = Rule::PreflightNetwork;
    refused(network(&[one("eth1", Some(0x1003))], &[], None), rule, "up: eth1");
    // One that does not tell, and one that only calls itself lo.
    refused(network(&[one("eth1", None)], &[], None), rule, "up: eth1");
    refused(network(&[one("lo", Some(0x1003))], &[], None), rule, "up: lo");
    let many: Vec<_> = (0..9).map(|n| one(&format!("veth{n}"), Some(0x1))).collect();
    refused(network(&many, &[], None), rule, "veth5 and 3 more");
}

const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       
eth1\t0900000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0                                                                               
eth1\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0                                                                               
";
const DEFAULT: &str = "eth1\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
const ROUTES_V6: &str = "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth1
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo
fe8000000000000000fc00fffe000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth1
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001     eth1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";
const DEFAULT_V6: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth1\n";

/// These words are big-endian where the machine is; the samples are from little-endian ones.
#[cfg(target_endian = "little")]
#[test]
fn a_planned_hsm_has_its_own_way_and_no_other() {
    let plan = NetworkPlan { interface: "eth1".into(), peer: "10.0.0.9".parse().unwrap() };
    let up = |name: &str| Interface { name: name.into(), flags: Some(0x1043) };
    let judge = |v4: &str, v6: &str| {
        let mut routes = routes_v4(v4).unwrap();
        routes.extend(routes_v6(v6).unwrap());
        network(&[up("eth1")], &routes, Some(&plan))
    };
    let rule = Rule::PreflightNetwork;
    judge(ROUTES, ROUTES_V6).unwrap();
    network(&[], &[], Some(&plan)).unwrap();
    refused(judge(&format!("{ROUTES}{DEFAULT}"), ""), rule, "0.0.0.0/0 on eth1 by a gateway");
    refused(judge(ROUTES, &format!("{ROUTES_V6}{DEFAULT_V6}")), rule, "::/0 on eth1 by a gateway");
    // Default routes in halves, through a gateway and on the link; another host; another interface.
    for (line, found) in [
        ("eth1\t00000080\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n", "128.0.0.0/1"),
        ("eth1\t0000A8C0\t0100000A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n", "192.168.0.0/16"),
        ("eth1\t0800000A\t0100000A\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n", "10.0.0.8/32"),
        ("wlan0\t0900000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n", "on wlan0"),
    ] {
        refused(judge(&format!("{ROUTES}{line}"), ""), rule, found);
    }
    let wide = "20000000000000000000000000000000 03 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth1\n";
    refused(judge(ROUTES, wide), rule, "2000::/3");
    // The HSM in another network, through a gateway: that one host.
    judge("Iface\t\neth1\t0900000A\t0100010A\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n", "").unwrap();
    let both = [up("eth1"), up("wlan0")];
    refused(network(&both, &[], Some(&plan)), rule, "up: wlan0");
    // Without a plan not even that interface.
    refused(network(&[up("eth1")], &[], None), rule, "up: eth1");
}

#[test]
fn texts_that_are_no_routes_are_none() {
    assert_eq!(routes_v4("Iface\tDestination\n"), Some(Vec::<Route>::new()));
    assert_eq!(routes_v6(""), Some(Vec::new()));
    for text in [
        "",
        "eth1\t0\t0\t0\n",
        "Iface\t\neth1\t00000000\n",
        "Iface\t\neth1\tzz\t0\t0003\t0\t0\t0\t0\t0\t0\t0\n",
    ] {
        assert_eq!(routes_v4(text), None, "{text}");
    }
    for text in ["default via fe80::1", &DEFAULT_V6[1..], &DEFAULT_V6.replace("eth1", "")] {
        assert_eq!(routes_v6(text), None, "{text}");
    }
}

#[test]
fn variables_are_named_and_never_shown() {
    let names = ["PATH", "LD_PRELOAD", "LD_\u{1b}[2J", "OLD_LD_X"].map(str::to_owned);
    let loader = environment(Rule::PreflightLoader, &["LD_"], &names).unwrap();
    let said = require_unwatched(&[loader]).map(|()| String::new());
    refused(said, Rule::PreflightLoader, "LD_PRELOAD, LD_\\u{1b}[2J");
    let p11_kit = environment(Rule::PreflightP11Kit, &["P11_KIT"], &names).unwrap();
    assert_eq!(p11_kit.finding(None).outcome, RuleOutcome::Holds);
    // A library path is a fault that a plan may waive; nobody reads along by it.
    let names = ["LD_LIBRARY_PATH".to_owned()];
    let loader = environment(Rule::PreflightLoader, &["LD_"], &names).unwrap();
    assert_eq!(loader.finding(None).outcome, RuleOutcome::Broken);
    require_unwatched(&[loader]).unwrap();
}

#[test]
fn a_tracer_is_named_by_its_process() {
    assert!(process::is_traced("Name:\tx\nTracerPid:\t7\n"));
    assert!(!process::is_traced("Name:\tx\nTracerPid:\t0\n"));
    assert!(!process::is_traced(""));
}

#[test]
fn a_medium_needs_all_three_options() {
    for bits in 0..8 {
        let flag = |bit: u8, flag| match bits & bit {
            0 => StatVfsMountFlags::empty(),
            _ => flag,
        };
        let flags = flag(1, StatVfsMountFlags::NOSUID)
            | flag(2, StatVfsMountFlags::NODEV)
            | flag(4, StatVfsMountFlags::NOEXEC);
        let result = medium("/media/usb", flags);
        match bits {
            7 => drop(result.unwrap()),
            5 => refused(result, Rule::PreflightMedium, "without nodev"),
            _ => refused(result, Rule::PreflightMedium, "without"),
        }
    }
}

#[test]
fn software_is_the_planned_one() {
    let (right, wrong) = (Hash::of(b"right"), Hash::of(b"wrong"));
    let planned = [("keyferry-hoster".to_owned(), right)];
    software(&planned, "keyferry-hoster", right).unwrap();
    let rule = Rule::PreflightSoftware;
    refused(software(&planned, "keyferry-hoster", wrong), rule, &wrong.to_string());
    refused(software(&planned, "lib\u{202e}.so", right), rule, "does not name lib\\u{202e}.so");
}

#[test]
fn a_clock_is_behind_until_people_note_it() {
    let mut seen = Seen::default();
    let mut take = |time: &str, event| {
        let head = Head { seq: 1, hash: Hash([0; 32]) };
        let time = time.parse().unwrap();
        seen.take(&Entry { head, time, event });
        seen.clone()
    };
    let note = || Event::Note {
        remark: record::terms::Remark::Remark { text: "the clock ran ahead".into() },
    };
    let before = take("2030-01-01T00:00:00Z", note());
    clock("2030-01-01T00:00:00Z", &before).unwrap();
    clock("2030-01-01T00:00:01Z", &before).unwrap();
    let behind = "2029-12-31T23:59:59Z";
    refused(clock(behind, &before), Rule::PreflightClock, "2030-01-01");
    // The refusal itself, written by the same clock, does not make it right.
    let refusal = Event::Refusal { rule: Rule::PreflightClock, found: String::new() };
    refused(clock(behind, &take(behind, refusal)), Rule::PreflightClock, "2030-01-01");
    let preflight = Event::Preflight { findings: Vec::new() };
    refused(clock(behind, &take(behind, preflight)), Rule::PreflightClock, "2030-01-01");
    clock(behind, &take(behind, note())).unwrap();
    clock(behind, &Seen::default()).unwrap();
}

//! Modules that answer CKR_OK and lie: who finds it, and where nobody can, what is left.

use std::{fs, process::Command};

use crate::{
    common::stage::{Done, Stage, ended},
    explore::in_parallel,
    invariants,
};

/// A lie that one side's module tells in every command after a step, and what finds it, whichever
/// comes first; nothing where it is harmless.
struct Told {
    lie: &'static str,
    side: &'static str,
    after: Done,
    found: &'static [&'static str],
}

const fn told(
    lie: &'static str,
    side: &'static str,
    after: Done,
    found: &'static [&'static str],
) -> Told {
    Told { lie, side, after, found }
}

/// A module that a side has trusted until then, and that changes its ways before the keys come.
const LATE: Done = Done::PackageCheck;

const LIES: [Told; 27] = [
    told("extractable", "hoster", Done::Plan, &["KEK-EXTRACTABLE"]),
    told("extractable", "hoster", LATE, &["TARGET-ATTRIBUTES"]),
    // At the tenant it is what the keys are made with.
    told("extractable", "tenant", Done::Plan, &[]),
    told("readable", "hoster", Done::Plan, &["KEK-EXTRACTABLE"]),
    told("readable", "hoster", LATE, &["TARGET-ATTRIBUTES"]),
    told("readable", "tenant", Done::Plan, &["TARGET-SENSITIVE"]),
    told("wraps-anyway", "hoster", Done::Plan, &["KEK-EXTRACTABLE"]),
    // Nobody can find it who asks only the module: the residue that attestation is for
    // (docs/reliability.md).
    told("wraps-anyway", "hoster", LATE, &[]),
    told("wraps-anyway", "tenant", Done::Plan, &["TARGET-EXTRACTABLE"]),
    told("wrong-modulus", "hoster", Done::Plan, &["C_UnwrapKey"]),
    told("wrong-modulus", "hoster", LATE, &["KEK-KEY"]),
    told("wrong-modulus", "tenant", Done::Plan, &["TARGET-WRAP-WITH-TRUSTED"]),
    told("changes", "hoster", Done::Plan, &["TARGET-ATTRIBUTES"]),
    told("changes", "hoster", LATE, &["TARGET-ATTRIBUTES"]),
    // Its second answer is the one that the tenant asks for.
    told("changes", "tenant", Done::Plan, &[]),
    told("trailing-bytes", "hoster", Done::Plan, &["C_Sign made 264 bytes"]),
    told("trailing-bytes", "tenant", Done::Plan, &["WRAP-FORMAT", "WRAP-KWP"]),
    told("wrong-length", "hoster", Done::Plan, &["C_Sign answered the impossible length"]),
    told("wrong-length", "tenant", Done::Plan, &["C_WrapKey answered the impossible length"]),
    told("keeps", "hoster", Done::AcceptanceRelease, &["KEK-GONE"]),
    // The trusted KEK is left, a public key; the audit says so at the end.
    told("keeps", "tenant", Done::KeysCreate, &[]),
    told("final-try", "tenant", Done::Plan, &["PIN-FINAL-TRY"]),
    told("final-try", "hoster", Done::Plan, &["PIN-COUNT-LOW"]),
    // A token's randomness makes no secret of Keyferry's; that it made its own keys well, nobody
    // can see.
    told("constant-random", "hoster", Done::Plan, &[]),
    told("constant-random", "tenant", Done::Plan, &[]),
    told(
        "million-objects",
        "hoster",
        Done::Plan,
        &["C_FindObjects answered the impossible length"],
    ),
    told(
        "million-objects",
        "tenant",
        Done::Plan,
        &["C_FindObjects answered the impossible length"],
    ),
];

#[test]
fn a_module_that_lies_is_found_out_or_does_no_harm() {
    in_parallel(&LIES, |told| {
        let context = format!("{} at the {} after {:?}", told.lie, told.side, told.after);
        let mut stage = Stage::at(told.after);
        stage.lie = Some((told.side, told.lie));
        let first = stage.walk_until_refused(Done::TenantClose);
        invariants::hold(&stage, &context);
        let by = first.as_ref().map_or("does no harm", |(command, _)| command);
        println!("{context}: {by}");
        match &first {
            Some((command, ended)) => {
                let named = told.found.iter().any(|rule| ended.err.contains(rule));
                assert!(named, "{context}: {command}: {}", ended.err);
                assert!([3, 5].contains(&ended.code), "{context}: {ended:?}");
            }
            None => {
                assert!(told.found.is_empty(), "{context}: nobody found it");
                stage.ends_the_same(&context);
            }
        }
    });
    println!("counted: {} lies", LIES.len());
}

#[test]
fn no_escape_code_of_a_token_reaches_a_terminal() {
    let mut stage = Stage::at(Done::Plan);
    let lied = |command: &mut Command| {
        let ended = ended(command.env("KEYFERRY_SHIM_LIE", "escape-codes"));
        ended.out + &ended.err
    };
    stage.walk_to(Done::Init);
    let mut wrong = stage.command("hoster", &["kek", "create"]);
    let said = [
        lied(&mut stage.command("hoster", &["probe", "--rehearsal", "probe.json"])),
        lied(wrong.args(["--token", "another"])),
        lied(&mut stage.command("hoster", &["kek", "create"])),
        lied(&mut stage.command("hoster", &["preflight"])),
        fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap(),
    ];
    for text in &said {
        let control = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(control), "{text:?}");
    }
    assert!(said.iter().any(|text| text.contains("owned")), "it was shown, escaped");
}

//! The accidents of docs/accidents.md, each planted into a rehearsal by hand at its moment and mended
//! as the page says: the rehearsal's own verdict decides. Three quick ones are played always.

use std::{path::Path, sync::OnceLock};

use super::player::{
    Act::{More, Note, Page},
    Moment, Player, Why,
};

/// When each happens, as `ceremony-scripts/rehearse` has it; the bag's is in `guided`, and another
/// HSM is noticed only under a plan that names the first.
const MOMENTS: [Moment; 12] = [
    ("share-lost", "tenant", "\"event\":\"export\""),
    ("custodian-absent", "tenant", "\"event\":\"export\""),
    ("laptop", "hoster", "\"event\":\"kek-create\""),
    ("printer", "hoster", "\"kind\":\"printed\""),
    ("medium", "hoster", "\"kind\":\"offer\""),
    ("plan-mistake", "tenant", "\"event\":\"init\""),
    ("pin-locked", "hoster", "\"kind\":\"offer\""),
    ("node-dead", "hoster", "\"event\":\"register\""),
    ("primaries-back", "hoster", "\"event\":\"primary\""),
    ("wrong-package", "tenant", "\"kind\":\"package\""),
    ("node-no-key", "hoster", "\"event\":\"register\""),
    ("other-share", "hoster", "\"event\":\"package-check\""),
];

/// A rehearsal by hand as far as the last moment, with a copy of its folder at each.
fn rehearsal() -> &'static Path {
    static PLAYED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = PLAYED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut player = Player::begin(folder.path(), &[], &MOMENTS);
        player.acts.push_back(Page);
        player.play("h", |player| player.has("hoster", "\"event\":\"primary\""));
        player.ended();
        folder
    });
    folder.path()
}

/// Plays one accident from its moment on: what must be seen, and what is done about it.
fn mended(accident: &str, notices: &str, mend: impl FnOnce(&mut Player)) {
    let copies = rehearsal();
    let folder = tempfile::tempdir().unwrap();
    ends_well(Player::meets(accident, copies, folder.path()), accident, notices, mend);
}

fn ends_well(mut player: Player, accident: &str, notices: &str, mend: impl FnOnce(&mut Player)) {
    player.acts.push_back(Note("what happened, and what was done"));
    mend(&mut player);
    let screen = player.ended();
    assert!(screen.contains(notices), "{accident}: {screen}");
    assert!(screen.contains("It was mended as docs/accidents.md says."), "{accident}: {screen}");
    assert!(screen.contains("the desk ended with 0"), "{accident}: {screen}");
}

#[test]
fn a_share_that_is_lost_is_mended() {
    mended("share-lost", "dan calls: the medium with my share file is gone", |player| {
        let to = player.work.join("medium/dan.age").display().to_string();
        let answers = vec![("Whose?", "dan".to_owned()), ("Where to?", to)];
        player.acts.push_back(More("write a custodian's share file again", answers));
        player.play("t", |player| player.has("tenant", "\"event\":\"share-reissue\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_custodian_who_is_absent_is_mended() {
    mended("custodian-absent", "dan is in hospital", |player| {
        player.absent = "dan";
        player.play("t", |player| player.has("tenant", "\"kind\":\"package\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_laptop_that_breaks_is_mended() {
    mended("laptop", "The hoster's laptop has fallen down", |player| {
        player.choose("l");
        player.play("h", |player| player.has("hoster", "\"kind\":\"offer\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_printer_that_jams_is_mended() {
    mended("printer", "The printer at the hoster has jammed", |player| {
        player.acts.push_back(More("print the script of this side", vec![]));
        player.play("h", |player| player.has("hoster", "\"copy\":2"));
    });
}

#[test]
fn a_medium_that_cannot_be_read_is_mended() {
    mended("medium", "The medium with the offer can't be read", |player| {
        player.play("t", |player| player.has("tenant", "\"event\":\"refusal\""));
        player.choose("m");
        player.play("t", |player| player.has("tenant", "\"event\":\"offer-check\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_plan_with_a_mistake_is_mended() {
    mended("plan-mistake", "a custodian in it has left the company", |player| {
        let why = || vec![("Why?", "a custodian of the plan has left".to_owned())];
        for side in ["tenant", "hoster"] {
            player.acts.push_back(More("abort: end the ceremony", why()));
            player.play(&side[..1], |player| player.has(side, "\"event\":\"close\""));
        }
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_pin_that_is_locked_is_mended() {
    mended("pin-locked", "tried PINs at the hoster's token over night", |player| {
        player.choose("o");
        player.play("t", |player| player.has("hoster", "\"event\":\"import\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn an_hsm_that_is_replaced_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let begun = ("hsm-replaced", "hoster", "\"event\":\"init\"");
    let mut player = Player::begin(folder.path(), &["--accident", begun.0], &[begun]);
    player.play("h", |player| player.has("hoster", begun.2));
    ends_well(player, begun.0, "The hoster's HSM was broken", |player| {
        assert_eq!(player.session("h"), Why::Failed);
        let why = || vec![("Why?", "the HSM is another".to_owned())];
        player.acts.push_back(More("abort, where the HSM is lost", why()));
        player.play("h", |player| player.has("hoster", "\"event\":\"abort\""));
        player.play("t", |player| player.has("tenant", "\"event\":\"init\""));
        player.acts.push_back(More("abort: end the ceremony", why()));
        player.play("t", |player| player.has("tenant", "\"event\":\"abort\""));
    });
}

#[test]
fn a_node_that_is_dead_is_mended() {
    mended("node-dead", "node2 is dead", |player| {
        let which = vec![("Which node?", "node2".to_owned())];
        player.acts.push_back(More("a node leaves the service", which));
        player.play("h", |player| player.has("hoster", "\"event\":\"nodes\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn primaries_that_must_go_back_do() {
    mended("primaries-back", "With the new keys the service fails", |player| {
        player.acts.push_back(More("rollback: what was primary", vec![]));
        player.play("h", |player| player.has("hoster", "\"event\":\"rollback\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_package_that_was_changed_is_mended() {
    mended("wrong-package", "had the medium with the package in hand", |player| {
        assert_eq!(player.session("h"), Why::Failed);
        player.choose("m");
        player.play("h", |player| player.has("hoster", "\"event\":\"package-check\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_node_that_cannot_read_the_key_is_mended() {
    mended("node-no-key", "node1 says that the account of its service can't read", |player| {
        player.choose("n");
        assert!(player.shown().contains("can't read the key; no evidence"));
        player.choose("g");
        player.play("h", |player| player.has("hoster", "\"event\":\"evidence\""));
    });
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part accidents`"]
fn a_share_of_another_ceremony_is_mended() {
    mended("other-share", "dan brings two media", |player| {
        let people = player.work.join("people/dan");
        player.shares.push_front([people.join("another.age"), people.join("identity")]);
        player.play("h", |player| player.has("hoster", "\"event\":\"import\""));
    });
}

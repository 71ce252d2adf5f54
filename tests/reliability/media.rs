//! A medium that is missing, holds something else, or is there twice.

use std::{fs, process::Command};

use crate::{
    common::{
        ending::went_on,
        run,
        stage::{Done, Stage},
    },
    explore::{differences, is_clear},
    invariants,
};

#[test]
fn a_medium_that_is_missing_or_other_or_double_changes_nothing() {
    let [mut missing, mut others, mut doubles] = [0; 3];
    let mut stage = Stage::at(Done::Plan);
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let Some(place) = arguments.iter().position(|one| one.starts_with("medium/")) else {
            return stage.side(side, &arguments).code;
        };
        let context = format!("{side} {arguments:?}");
        let medium = stage.path(arguments[place]);
        let before = invariants::contents(stage);
        let refused = |what: &str| {
            let context = format!("{context}, {what}");
            let ended = stage.side(side, &arguments);
            is_clear(&ended, &context);
            let differ = differences(&before, &invariants::contents(stage));
            assert!(differ.is_empty(), "{context}: it changed {differ:?}");
            // Nor can it matter later.
            invariants::hold(stage, &context);
        };
        let aside = stage.path("aside");
        fs::rename(&medium, &aside).unwrap();
        refused("no medium");
        missing += 1;
        // Whatever else travelled so far, under this name.
        for other in fs::read_dir(stage.path("medium")).unwrap() {
            let other = other.unwrap().path();
            if other.is_dir() == aside.is_dir() {
                run(Command::new("cp").arg("-r").args([&other, &medium]));
                refused(&format!("{} in its place", other.display()));
                others += 1;
                run(Command::new("rm").arg("-r").arg(&medium));
            }
        }
        fs::rename(&aside, &medium).unwrap();
        let code = stage.side(side, &arguments).code;
        // The same again, from another medium.
        if code == 0 {
            let after = invariants::contents(stage);
            let double = stage.path("double");
            let _ = fs::remove_dir_all(&double);
            run(Command::new("cp").arg("-r").args([&medium, &double]));
            let mut again = arguments.clone();
            again[place] = "double";
            let ended = stage.side(side, &again);
            let moved_on = ended.err.contains(" (EVIDENCE-");
            assert!(went_on(&again, &ended) || moved_on, "{context}, again: {ended:?}");
            let differ = differences(&after, &invariants::contents(stage));
            assert!(differ.is_empty(), "{context}, again: it changed {differ:?}");
            run(Command::new("rm").arg("-r").arg(&double));
            doubles += 1;
        }
        code
    });
    stage.ends_the_same("with many media");
    println!("counted: {missing} media missing, {others} others in their place, {doubles} double");
    assert!(missing >= 10 && others >= 20 && doubles >= 10);
}

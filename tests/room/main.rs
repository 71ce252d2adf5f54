//! What people in the room meet: `next` on terminals, paper and camera, the custodian's program,
//! the machine before production; and what auditors read of it afterwards.
mod audit;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod custody;
mod german;
mod names;
mod next;
mod officer;
mod paper;
mod preflight;
mod show;
mod verify_script;

//! Windows Host Guardian Service: its scripts act, each node proves. Sources: Microsoft's HgsServer
//! cmdlet reference, its guarded-fabric guide, and MS-KPS.

use std::path::Path;

use crate::services::{Act, Service, TargetStep};
use record::Result;
use record::service::Brief;
use record::terms::PrimaryKey;

/// A cluster of HGS nodes.
pub struct Hgs;

const INSTALL: &str = "Install-KeyferryNode.ps1";
const TEST: &str = "Test-KeyferryNode.ps1";
const SET: &str = "Set-KeyferryPrimary.ps1";
const UNDO: &str = "Undo-KeyferryPrimary.ps1";

macro_rules! steps {
    ($($program:ident $act:ident $name:literal;)*) => {
        &[$(TargetStep { act: Act::$act, name: $name, program: $program },)*]
    };
}

/// What the scripts do, in this order; each says so as it goes.
const STEPS: &[TargetStep] = steps! {
    INSTALL Check    "check-folder";
    INSTALL Check    "check-order";
    INSTALL Check    "check-node";
    INSTALL Install  "install-certificates";
    INSTALL Bind     "bind";
    INSTALL Grant    "grant";
    INSTALL Register "register";
    TEST    Check    "check-folder";
    TEST    Check    "check-order";
    TEST    Diagnose "diagnose";
    TEST    Prove    "prove";
    SET     Check    "check-folder";
    SET     Check    "check-order";
    SET     Record   "record-primaries";
    SET     Activate "set-signing";
    SET     Activate "set-encryption";
    SET     ReadBack "read-back";
    UNDO    Check    "check-folder";
    UNDO    Check    "check-order";
    UNDO    Record   "record-primaries";
    UNDO    RollBack "restore-signing";
    UNDO    RollBack "restore-encryption";
    UNDO    ReadBack "read-back";
};

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../templates/hgs/", $name))),)*]
    };
}

/// Reviewed once, compiled in, never filled: what differs between ceremonies is in the brief and
/// the orders beside them.
const FILES: &[(&str, &str)] = files! {
    "INSTRUCTIONS.txt"
    "KeyferryCommon.ps1"
    "Install-KeyferryNode.ps1"
    "Test-KeyferryNode.ps1"
    "Set-KeyferryPrimary.ps1"
    "Undo-KeyferryPrimary.ps1"
};

impl Service for Hgs {
    fn steps(&self) -> &'static [TargetStep] {
        STEPS
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        FILES
    }

    fn register(&self, _: &Path, _: &Brief) -> Result<()> {
        Ok(())
    }

    fn primaries(&self, _: &Path) -> Result<Option<Vec<PrimaryKey>>> {
        Ok(None)
    }

    fn activate(&self, _: &Path, _: &Brief) -> Result<()> {
        Ok(())
    }

    fn goes_back_to(&self, former: &[PrimaryKey]) -> bool {
        !former.is_empty()
    }

    fn roll_back(&self, _: &Path, _: &[PrimaryKey]) -> Result<()> {
        Ok(())
    }
}

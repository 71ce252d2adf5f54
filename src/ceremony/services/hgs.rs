//! Windows Host Guardian Service: its scripts act, each node proves. Sources: Microsoft's HgsServer
//! cmdlet reference, its guarded-fabric guide, and MS-KPS.

use crate::services::{Service, TargetStep};

/// A cluster of HGS nodes.
pub const HGS: Service = Service { steps: STEPS, scripts: Some([SET, UNDO]), files: FILES };

const INSTALL: &str = "Install-KeyferryNode.ps1";
const TEST: &str = "Test-KeyferryNode.ps1";
const SET: &str = "Set-KeyferryPrimary.ps1";
const UNDO: &str = "Undo-KeyferryPrimary.ps1";

macro_rules! steps {
    ($($program:ident: $($name:literal)*;)*) => {
        &[$($(TargetStep { name: $name, program: $program },)*)*]
    };
}

/// What the scripts do, in this order; each says so as it goes.
const STEPS: &[TargetStep] = steps! {
    INSTALL: "check-folder" "check-order" "check-node" "install-certificates" "bind" "grant" "register";
    TEST: "check-folder" "check-order" "diagnose" "prove";
    SET: "check-folder" "check-order" "record-primaries" "set-signing" "set-encryption" "read-back";
    UNDO: "check-folder" "check-order" "record-primaries" "restore-signing" "restore-encryption"
          "read-back";
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

//! The machine that a ceremony is held on: what it must be like, and the process made hard.

pub mod hardening;
pub mod preflight;

//! What is carried by paper and camera: files as QR codes, and lines that people type.

pub mod frames;
pub mod identity;
pub mod lines;
pub mod look;
pub mod page;
pub mod qr;
pub mod scan;
pub mod show;

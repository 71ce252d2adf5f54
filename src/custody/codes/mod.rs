//! What is carried by paper and camera: files as QR codes, and lines that people type.

pub mod frames;
pub mod lines;
pub mod qr;
mod repair;
pub mod scan;
pub mod show;

//! Pictures of QR codes, PNG or JPEG, read back.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, ImageReader, Limits};

use crate::codes::frames::{PREFIX, ScannedFrames};
use record::encoding::Hash;
use record::escape::escape;
use record::rule::Rule;
use record::{Result, folder};
use terminal::report::Report;

/// The greatest size of a picture, in bytes.
const MAX_PICTURE: u64 = 64 << 20;
/// The greatest side of a picture, in pixels.
const MAX_SIDE: u32 = 12_000;
/// The greatest memory that decoding one may take, in bytes.
const MAX_MEMORY: u64 = 256 << 20;

/// Reads pictures, and writes the files that they carry into a folder.
///
/// # Errors
/// `FRAME-…`; `FILE-EXISTS` before anything is written.
pub fn scan(pictures: &[PathBuf], to: &Path) -> Result<Report> {
    let mut read = ScannedFrames::default();
    for picture in pictures {
        for frame in frames_in(picture)? {
            read.add(&frame)?;
        }
    }
    let files = read.finish()?;
    for (name, _) in &files {
        let path = to.join(name);
        if path.exists() {
            return Err(folder::exists(&path));
        }
    }
    let mut report = Report::new("Every code was read; the files are as they were.");
    for (name, bytes) in &files {
        let path = to.join(name);
        if let Some(parent) = path.parent() {
            folder::make_folder(parent)?;
        }
        folder::write_new(&path, bytes)?;
        report = report.value(name, format!("{} bytes, SHA-256 {}", bytes.len(), Hash::of(bytes)));
    }
    Ok(report)
}

/// The frames that a picture shows; codes of other programs are left out.
///
/// # Errors
/// `FRAME-PICTURE` for what is no PNG or JPEG of that size, or shows no code.
pub fn frames_in(file: &Path) -> Result<Vec<String>> {
    let picture_error = |found: String| {
        Rule::FramePicture.refuse(
            format!("{}: {}", file.display(), escape(&found)),
            "a PNG or JPEG picture with at least one of Keyferry's QR codes",
            "photograph the codes again: straight, sharp, evenly lit, few at once",
        )
    };
    let bytes = folder::read_file(file, MAX_PICTURE)?;
    let format = image::guess_format(&bytes).map_err(|error| picture_error(error.to_string()))?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg) {
        return Err(picture_error("another kind of file".into()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| picture_error(error.to_string()))?;
    let grey = picture.into_luma8();
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let pixels = grey.into_raw();
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        pixels.get(y * width + x).copied().unwrap_or(u8::MAX)
    });
    let grids = prepared.detect_grids();
    let texts = grids.iter().filter_map(|grid| grid.decode().ok());
    let frames: Vec<String> =
        texts.map(|(_, text)| text).filter(|text| text.starts_with(PREFIX)).collect();
    match frames.is_empty() {
        true => Err(picture_error("no code of Keyferry's that could be read".into())),
        false => Ok(frames),
    }
}

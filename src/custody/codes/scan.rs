//! Pictures of QR codes, PNG or JPEG, read back.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::imageops::{FilterType, resize};
use image::{GrayImage, ImageFormat, ImageReader, Limits};
use rxing::common::{BitMatrix, DetectorRXingResult, HybridBinarizer};
use rxing::qrcode::cpp_port::decoder::Decode;
use rxing::qrcode::cpp_port::detector::{FindFinderPatterns, GenerateFinderPatternSets, SampleQR};
use rxing::{Binarizer, Luma8LuminanceSource};

use crate::codes::frames::{PREFIX, ScannedFrames};
use record::{Hash, Result, Rule, escape, folder};
use terminal::report::Report;
use terminal::tell;

/// The greatest size of a picture, in bytes.
const MAX_PICTURE: u64 = 64 << 20;
/// The greatest side of a picture, in pixels.
const MAX_SIDE: u32 = 12_000;
/// The greatest memory that decoding one may take, in bytes.
const MAX_MEMORY: u64 = 256 << 20;
/// The most pixels that are searched: a page of A4 at 300 dpi has 8.7 million. A larger picture is
/// halved until it has no more.
const MOST_PIXELS: u64 = 16 << 20;
/// The most rows of dark and light that look like one through a corner's pattern: a page of six
/// codes has under a tenth of it; what has more is noise, or was made to take long.
const MOST_CROSSINGS: usize = 30_000;
/// The most corners' patterns that are put together, the largest first; a page of six codes has 18.
const MOST_CORNERS: usize = 240;
/// The most sets of three of them that are tried.
const MOST_SETS: usize = 4_000;

/// Reads pictures, and writes the files that they carry into a folder.
///
/// # Errors
/// `FRAME-…`, where no picture shows a code `FRAME-PICTURE`; `FILE-EXISTS` before anything is
/// written.
pub fn scan(pictures: &[PathBuf], to: &Path) -> Result<Report> {
    let mut read = ScannedFrames::default();
    let mut without = Vec::new();
    for picture in pictures {
        let frames = frames_in(picture)?;
        if frames.is_empty() {
            without.push(folder::shown(picture));
        }
        frames.iter().try_for_each(|frame| read.add(frame))?;
    }
    let without = without.join(", ");
    if read.progress().is_empty() {
        let found = format!("{without}: no code of Keyferry's that could be read");
        return Err(picture_error(found));
    }
    if !without.is_empty() {
        tell(&format!("note: no code of Keyferry's that could be read in {without}"));
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

/// The frames that a picture shows; codes of other programs are left out. There may be none.
///
/// # Errors
/// `FRAME-PICTURE` for what is no PNG or JPEG of that size.
pub fn frames_in(file: &Path) -> Result<Vec<String>> {
    let picture_error = |found: String| {
        let found = format!("{}: {}", folder::shown(file), escape(&found));
        picture_error(found)
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
    // The library says of itself that it can panic: what makes it do so shows no code.
    let texts = catch_unwind(AssertUnwindSafe(|| texts_in(picture.into_luma8())));
    let texts = texts.ok().flatten().into_iter().flatten();
    Ok(texts.filter(|text| text.starts_with(PREFIX)).collect())
}

fn picture_error(found: String) -> record::Error {
    Rule::FramePicture.refuse(
        found,
        "a PNG or JPEG picture with at least one of Keyferry's QR codes",
        "photograph the codes again: sharp, evenly lit, each at least a third of the picture's width",
    )
}

/// The texts of all codes in a picture; None where it can't be searched.
fn texts_in(mut picture: GrayImage) -> Option<Vec<String>> {
    while u64::from(picture.width()) * u64::from(picture.height()) > MOST_PIXELS {
        let (width, height) = (picture.width() / 2, picture.height() / 2);
        picture = resize(&picture, width, height, FilterType::Triangle);
    }
    let (width, height) = picture.dimensions();
    let source = Luma8LuminanceSource::new(picture.into_raw(), width, height).ok()?;
    let binary = HybridBinarizer::new(source);
    let matrix = binary.get_black_matrix().ok()?;
    if crossings(matrix) > MOST_CROSSINGS {
        return None;
    }
    let mut corners = FindFinderPatterns(matrix, true, 0);
    corners.sort_by_key(|corner| std::cmp::Reverse(corner.size));
    corners.truncate(MOST_CORNERS);
    let (mut used, mut texts) = (Vec::new(), Vec::new());
    for set in GenerateFinderPatternSets(&mut corners).into_iter().take(MOST_SETS) {
        let three = [set.bl, set.tl, set.tr];
        if three.iter().any(|corner| used.contains(corner)) {
            continue;
        }
        let sampled = SampleQR(matrix, &set).ok();
        let decoded = sampled.and_then(|sampled| Decode(sampled.getBits()).ok());
        if let Some(decoded) = decoded.filter(|decoded| decoded.isValid()) {
            used.extend(three);
            texts.push(decoded.text());
        }
    }
    Some(texts)
}

/// How often every third row shows dark, light, dark, light, dark in lengths that may be 1:1:3:1:1
/// (ISO/IEC 18004, 6.3.3.1).
fn crossings(matrix: &BitMatrix) -> usize {
    let mut count = 0;
    for y in (2..matrix.height()).step_by(3) {
        let (mut runs, mut dark) = ([0usize; 5], false);
        for x in 0..matrix.width() {
            if matrix.get(x, y) != dark {
                let [a, b, middle, c, d] = runs;
                let fits = dark && middle >= 3 && middle >= 2 * a.max(d) && middle >= b.max(c);
                count += usize::from(fits && a > 0);
                runs.rotate_left(1);
                (runs[4], dark) = (0, !dark);
            }
            runs[4] += 1;
        }
    }
    count
}

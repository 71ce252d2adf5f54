//! Reed–Solomon over GF(2⁵), 24 + 4: what ends a line of characters, and restores one of them that
//! is wrong, or two that cannot be read, and never more. The distance of the code is 5, so that
//! nothing is restored by mistake where up to three characters are wrong.
//!
//! The line's number is part of the code word, in two symbols that are not written: a line in the
//! place of another fits as badly as one with wrong characters.

use zeroize::Zeroizing;

/// The characters of a line, without the check.
pub const CHARACTERS: usize = 24;
/// The characters of the check: 20 bits.
pub const CHECK: usize = 4;
/// The symbols of the line's number, most significant first; they are not written.
const NUMBER: usize = 2;
/// The symbols of a code word, 5 bits each.
const WORD: usize = NUMBER + CHARACTERS + CHECK;
/// x⁵ + x² + 1, by which the field is made; x generates its 31 elements that are not zero.
const MODULUS: u16 = 0b10_0101;

/// A line as a code word: its number, its characters, its check.
pub struct LineWord(Zeroizing<[u8; WORD]>);

/// A line does not fit its check, and nothing can be restored.
#[derive(Debug, PartialEq, Eq)]
pub struct Unrepairable;

impl LineWord {
    /// The line of this number, from 1 to 1023, with no characters yet.
    pub fn of(number: usize) -> Self {
        let mut word = Zeroizing::new([0; WORD]);
        word[0] = ((number >> 5) & 31) as u8;
        word[1] = (number & 31) as u8;
        LineWord(word)
    }

    /// The characters and the check, as values below 32.
    pub fn written(&mut self) -> &mut [u8] {
        &mut self.0[NUMBER..]
    }

    /// Puts the check to the characters.
    pub fn close(&mut self) {
        let check = [0, 1, 2, 3].map(|n| NUMBER + CHARACTERS + n);
        self.fill(&check);
    }

    /// Restores one wrong character, or those that could not be read, which are 0 here, by their
    /// places among what is written; says the places of what it has restored.
    ///
    /// # Errors
    /// [`Unrepairable`]: too many are wrong or unreadable, or it is another line.
    pub fn restore(&mut self, unreadable: &[usize]) -> Result<Vec<usize>, Unrepairable> {
        let unreadable: Vec<usize> = unreadable.iter().map(|place| place + NUMBER).collect();
        let places = match unreadable.len() {
            0 => self.wrong()?,
            1 | 2 => unreadable,
            _ => return Err(Unrepairable),
        };
        self.fill(&places);
        match self.syndromes() == [0; CHECK] && places.iter().all(|place| *place >= NUMBER) {
            true => Ok(places.iter().map(|place| place - NUMBER).collect()),
            false => Err(Unrepairable),
        }
    }

    /// The place of the one wrong symbol, or none.
    fn wrong(&self) -> Result<Vec<usize>, Unrepairable> {
        match self.syndromes() {
            [0, 0, 0, 0] => Ok(Vec::new()),
            [first, second, ..] if first != 0 => {
                let at = over(second, first);
                let place = LOCATORS.iter().position(|locator| *locator == at);
                place.map(|place| vec![place]).ok_or(Unrepairable)
            }
            _ => Err(Unrepairable),
        }
    }

    /// The syndromes: the sums of all symbols, each times a power of its locator, zero in a code
    /// word.
    fn syndromes(&self) -> [u8; CHECK] {
        let mut sums = [0; CHECK];
        for (symbol, locator) in self.0.iter().zip(LOCATORS) {
            let mut part = *symbol;
            for sum in &mut sums {
                *sum ^= part;
                part = times(part, locator);
            }
        }
        sums
    }

    /// Changes the symbols of these places, at most four, so that as many syndromes vanish.
    fn fill(&mut self, places: &[usize]) {
        let syndromes = self.syndromes();
        for place in places {
            // What the other places add is taken out of the sums one by one.
            let (mut sums, mut scale) = (syndromes, 1);
            for other in places.iter().filter(|other| *other != place) {
                for n in 0..CHECK - 1 {
                    sums[n] = sums[n + 1] ^ times(sums[n], LOCATORS[*other]);
                }
                scale = times(scale, LOCATORS[*place] ^ LOCATORS[*other]);
            }
            self.0[*place] ^= over(sums[0], scale);
        }
    }
}

/// What tells each place of the code word from all others: the powers of x.
const LOCATORS: [u8; WORD] = {
    let mut powers = [1; WORD];
    let mut place = 1;
    while place < WORD {
        powers[place] = times(powers[place - 1], 2);
        place += 1;
    }
    powers
};

/// A product in the field.
const fn times(a: u8, b: u8) -> u8 {
    let (mut product, mut bit) = (0, 5);
    while bit > 0 {
        bit -= 1;
        product = (product << 1) ^ (a as u16 * ((b as u16 >> bit) & 1));
        product ^= MODULUS * (product >> 5);
    }
    product as u8
}

/// A quotient in the field; the 30th power of what is not zero is its inverse.
fn over(a: u8, b: u8) -> u8 {
    (0..30).fold(a, |quotient, _| times(quotient, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of this number with characters that this number makes.
    fn line(number: usize) -> LineWord {
        let mut word = LineWord::of(number);
        for (n, symbol) in word.written()[..CHARACTERS].iter_mut().enumerate() {
            *symbol = (number * 7 + n * n * 5 + n) as u8 % 32;
        }
        word.close();
        word
    }

    fn with(number: usize, changes: &[(usize, u8)]) -> LineWord {
        let mut word = line(number);
        for (place, by) in changes {
            word.written()[*place] ^= by;
        }
        word
    }

    const WRITTEN: usize = CHARACTERS + CHECK;

    #[test]
    fn the_field_is_one() {
        for a in 1..32 {
            assert_eq!(over(a, a), 1);
            for b in 1..32 {
                assert_eq!(times(a, b), times(b, a));
                assert_eq!(times(over(a, b), b), a);
                assert_eq!(times(a, b ^ 1), times(a, b) ^ a);
            }
        }
        // x⁵ = x² + 1, and x generates the field.
        assert_eq!(times(16, 2), 5);
        let mut all = LOCATORS.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), WORD);
    }

    /// Every one of 28 x 31 wrong characters is restored, in lines of every kind of number.
    #[test]
    fn one_wrong_character_is_restored_wherever_it_stands() {
        for number in [1, 31, 32, 33, 274, 1023] {
            let right = line(number).0;
            assert_eq!(line(number).restore(&[]), Ok(Vec::new()));
            for place in 0..WRITTEN {
                for by in 1..32 {
                    let mut word = with(number, &[(place, by)]);
                    assert_eq!(word.restore(&[]), Ok(vec![place]));
                    assert_eq!(word.0, right);
                }
            }
        }
    }

    /// Every pair of places that cannot be read is restored, and every single one; with any other
    /// character wrong beside them, nothing is.
    #[test]
    fn two_unreadable_characters_are_restored_and_nothing_beside_them() {
        let unread = |number: usize, places: &[usize]| {
            let mut word = line(number);
            places.iter().for_each(|place| word.written()[*place] = 0);
            word
        };
        for number in [1, 33] {
            let right = line(number).0;
            for first in 0..WRITTEN {
                let mut word = unread(number, &[first]);
                assert_eq!(word.restore(&[first]), Ok(vec![first]));
                assert_eq!(word.0, right);
                for second in first + 1..WRITTEN {
                    let both = [first, second];
                    let mut word = unread(number, &both);
                    assert_eq!(word.restore(&both), Ok(both.to_vec()));
                    assert_eq!(word.0, right);
                    let other = (0..WRITTEN).find(|place| !both.contains(place)).unwrap();
                    for by in 1..32 {
                        let mut word = unread(number, &both);
                        word.written()[other] ^= by;
                        assert_eq!(word.restore(&both), Err(Unrepairable));
                        let mut word = unread(number, &[first]);
                        word.written()[second] ^= by;
                        assert_eq!(word.restore(&[first]), Err(Unrepairable));
                    }
                    let third = [first, second, other];
                    assert_eq!(unread(number, &third).restore(&third), Err(Unrepairable));
                }
            }
        }
    }

    /// Every one of 378 x 961 pairs of wrong characters is refused.
    #[test]
    fn two_wrong_characters_are_refused_wherever_they_stand() {
        let right = line(5).0;
        for first in 0..WRITTEN {
            for second in first + 1..WRITTEN {
                for by in (1..32).flat_map(|a| (1..32).map(move |b| (a, b))) {
                    let mut word = LineWord(right.clone());
                    word.written()[first] ^= by.0;
                    word.written()[second] ^= by.1;
                    assert_eq!(word.restore(&[]), Err(Unrepairable), "{first} {second} {by:?}");
                }
            }
        }
    }

    /// A line in the place of another is refused, whole, with a wrong character, and with up to two
    /// that cannot be read.
    #[test]
    fn another_line_is_refused() {
        for (typed, place) in (1..300).flat_map(|n| [(n, n + 1), (n + 1, n), (n, n + 31)]) {
            let moved = |change: (usize, u8)| {
                let mut word = with(typed, &[change]);
                word.0[..NUMBER].copy_from_slice(&LineWord::of(place).0[..NUMBER]);
                word
            };
            assert_eq!(moved((0, 0)).restore(&[]), Err(Unrepairable), "{typed} {place}");
            assert_eq!(moved((typed % WRITTEN, 9)).restore(&[]), Err(Unrepairable));
            let mut word = moved((0, 0));
            (word.written()[2], word.written()[20]) = (0, 0);
            assert_eq!(word.restore(&[2, 20]), Err(Unrepairable));
        }
    }
}

//! Huffman codes of differences, looked up twelve bits at a time.

use super::bits::Bits;

/// Number of bits of one lookup.
const LOOK: u32 = 12;

/// Reads a segment of Huffman tables. `None` if a table is not a valid code of differences.
pub(super) fn read_tables(mut segment: &[u8], tables: &mut [Option<Table>; 4]) -> Option<()> {
    while let [place, rest @ ..] = segment {
        let counts = rest.first_chunk::<16>()?;
        let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
        let values = rest.get(16..16 + total)?;
        // The upper half of `place` is the class, which is 0 for differences. Other classes exceed
        // the four tables.
        *tables.get_mut(usize::from(*place))? = Some(Table::new(counts, values)?);
        segment = &rest[16 + total..];
    }
    Some(())
}

/// The result of one lookup.
#[derive(Clone, Copy, Default)]
struct Look {
    /// The difference, if code and difference fit into the lookup's bits.
    difference: u16,
    /// Number of bits of code and difference; 0 if they do not fit.
    both: u8,
    /// Number of bits of the code; 0 if it is longer than the lookup's bits.
    code: u8,
    /// Number of bits of the difference.
    category: u8,
}

/// A Huffman code of difference categories.
pub(super) struct Table {
    look: Vec<Look>,
    /// Per length: the first code beyond those of this length, left-aligned to 16 bits.
    limit: [u32; 17],
    /// Per length: what to add to a code to find its value.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        if values.iter().any(|&v| v > 16) {
            return None;
        }
        let mut table = Self {
            look: vec![Look::default(); 1 << LOOK],
            limit: [0; 17],
            offset: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.offset[length as usize] = index as i32 - code as i32;
            if code + count > 1 << length {
                return None;
            }
            for _ in 0..count {
                if length <= LOOK {
                    table.fill(code, length, values[index]);
                }
                code += 1;
                index += 1;
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// Enters the code of `length` bits at all indices that begin with it.
    fn fill(&mut self, code: u32, length: u32, category: u8) {
        let free = LOOK - length;
        for tail in 0..1u32 << free {
            let extra = u32::from(category);
            let mut look = Look {
                code: length as u8,
                category,
                ..Look::default()
            };
            // Category 16 stands for 32768 and has no bits of its own.
            if category == 16 {
                (look.difference, look.both) = (0x8000, length as u8);
            } else if extra <= free {
                look.difference = extended(tail >> (free - extra), extra);
                look.both = (length + extra) as u8;
            }
            self.look[((code << free) | tail) as usize] = look;
        }
    }

    #[inline]
    pub(super) fn difference(&self, bits: &mut Bits) -> Option<u16> {
        bits.fill();
        let look = self.look[bits.peek(LOOK) as usize];
        if look.both != 0 {
            bits.skip(u32::from(look.both));
            return Some(look.difference);
        }
        self.difference_beyond(bits, look)
    }

    /// Reads a difference that does not fit into one lookup.
    #[cold]
    fn difference_beyond(&self, bits: &mut Bits, look: Look) -> Option<u16> {
        let mut category = look.category;
        if look.code != 0 {
            bits.skip(u32::from(look.code));
        } else {
            let code = bits.peek(16);
            let length = (LOOK as usize + 1..=16).find(|&l| code < self.limit[l])?;
            let index = (code >> (16 - length)) as i32 + self.offset[length];
            category = *self.values.get(usize::try_from(index).ok()?)?;
            bits.skip(length as u32);
            if category == 16 {
                return Some(0x8000);
            }
        }
        let extra = u32::from(category);
        let difference = extended(bits.peek(extra), extra);
        bits.skip(extra);
        Some(difference)
    }
}

/// The difference that `bits` of its category stand for, modulo 2¹⁶.
fn extended(bits: u32, category: u32) -> u16 {
    if category == 0 {
        0
    } else if bits >> (category - 1) == 0 {
        (bits + 1).wrapping_sub(1 << category) as u16
    } else {
        bits as u16
    }
}

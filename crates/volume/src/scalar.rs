//! The scalar types that files hold.

/// A scalar type, in memory or in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// 8 bits, unsigned.
    U8,
    /// 8 bits, signed.
    I8,
    /// 16 bits, unsigned.
    U16,
    /// 16 bits, signed.
    I16,
    /// 32 bits, unsigned.
    U32,
    /// 32 bits, signed.
    I32,
    /// 64 bits, unsigned.
    U64,
    /// 64 bits, signed.
    I64,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl Scalar {
    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// How the bytes of a file become values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    pub scalar: Scalar,
    pub big_endian: bool,
    /// Factor and summand that apply to every value.
    pub scaling: Option<(f64, f64)>,
}

impl Encoding {
    /// Appends the values in `bytes`, which must hold a whole number of them.
    pub fn decode(&self, bytes: &[u8], out: &mut Vec<f32>) {
        macro_rules! decode {
            ($t:ty) => {{
                let (values, _) = bytes.as_chunks::<{ size_of::<$t>() }>();
                match (self.big_endian, self.scaling) {
                    (false, None) => {
                        out.extend(values.iter().map(|&b| <$t>::from_le_bytes(b) as f32))
                    }
                    (true, None) => {
                        out.extend(values.iter().map(|&b| <$t>::from_be_bytes(b) as f32))
                    }
                    (big, Some((factor, summand))) => out.extend(values.iter().map(|&b| {
                        let value = if big {
                            <$t>::from_be_bytes(b)
                        } else {
                            <$t>::from_le_bytes(b)
                        };
                        (value as f64 * factor + summand) as f32
                    })),
                }
            }};
        }
        match self.scalar {
            Scalar::U8 => decode!(u8),
            Scalar::I8 => decode!(i8),
            Scalar::U16 => decode!(u16),
            Scalar::I16 => decode!(i16),
            Scalar::U32 => decode!(u32),
            Scalar::I32 => decode!(i32),
            Scalar::U64 => decode!(u64),
            Scalar::I64 => decode!(i64),
            Scalar::F32 => decode!(f32),
            Scalar::F64 => decode!(f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_is_decoded_in_both_byte_orders() {
        macro_rules! check {
            ($($scalar:ident $t:ty: $($value:expr),*;)*) => {$(
                assert_eq!(Scalar::$scalar.size(), size_of::<$t>());
                for value in [$($value as $t),*] {
                    for big_endian in [false, true] {
                        let bytes = if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
                        let mut out = Vec::new();
                        let mut encoding = Encoding { scalar: Scalar::$scalar, big_endian, scaling: None };
                        encoding.decode(&bytes, &mut out);
                        encoding.scaling = Some((2.0, -1024.0));
                        encoding.decode(&bytes, &mut out);
                        let scaled = (value as f64 * 2.0 - 1024.0) as f32;
                        assert_eq!(out, [value as f32, scaled]);
                    }
                }
            )*};
        }
        check! {
            U8 u8: 0, 200;
            I8 i8: -100, 100;
            U16 u16: 3, 40_000;
            I16 i16: -3000, 3000;
            U32 u32: 5, 3_000_000_000u32;
            I32 i32: -70_000, 70_000;
            U64 u64: 7, 1u64 << 60;
            I64 i64: -(1i64 << 60), 9;
            F32 f32: -0.25, 1e30;
            F64 f64: -0.25, 1e-30;
        }
    }
}

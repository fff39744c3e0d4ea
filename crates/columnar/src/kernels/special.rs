//! The bytes that a JSON string can't hold as they are.

/// A bit for each byte that is a quote, a backslash or a control character, the lowest for the first.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code)]
#[inline]
pub(crate) fn special_bytes(block: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };
    let block = u128::from_le_bytes(*block);
    // SAFETY: SSE2 is part of x86-64.
    unsafe {
        let block = _mm_set_epi64x((block >> 64) as i64, block as i64);
        let quotes = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'"' as i8));
        let backslashes = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
        let special = _mm_or_si128(_mm_or_si128(quotes, backslashes), control);
        _mm_movemask_epi8(special).cast_unsigned()
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn special_bytes(block: &[u8; 16]) -> u32 {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let bits = block.iter().enumerate();
    bits.fold(0, |mask, (i, byte)| mask | u32::from(special(byte)) << i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for byte in 0..=u8::MAX {
            let special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for i in 0..16 {
                let mut block = [b'x'; 16];
                block[i] = byte;
                assert_eq!(
                    special_bytes(&block),
                    u32::from(special) << i,
                    "{byte} at {i}"
                );
            }
        }
    }
}

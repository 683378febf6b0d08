//! Maps in bf16 beside the same maps in `f32`.
//!
//! Several operations of a forward pass round the same map, and each keeps the result for its backward pass.
//! The rounded map is therefore remembered as long as the map itself is alive.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use burn::backend::TensorMetadata;
use burn::tensor::{Bytes, DType, Shape, TensorData};
use burn_flex::FlexTensor;
use multirnet_kernels::Values;

use super::flex::{dense, values};

/// A map's storage, and the map in bf16.
///
/// An operation that changes a storage in place takes its content into a new one, since there is a weak
/// reference to the old one. A storage that is still alive has therefore not changed.
struct Twin {
    of: Weak<Bytes>,
    rounded: FlexTensor,
}

thread_local! {
    static TWINS: RefCell<Vec<Twin>> = const { RefCell::new(Vec::new()) };
}

/// A tensor of numbers in bf16.
pub(super) fn tensor(values: Vec<u16>, shape: impl Into<Shape>) -> FlexTensor {
    let bytes = Bytes::from_elems(values);
    FlexTensor::from_data(TensorData::from_bytes(bytes, shape.into(), DType::BF16))
}

/// The tensor in bf16; unchanged if it is not in `f32`.
pub(super) fn rounded(x: &FlexTensor) -> FlexTensor {
    match values(x) {
        Some(Values::F32(values)) => tensor(multirnet_kernels::narrow(values), x.shape()),
        _ => x.clone(),
    }
}

/// [`rounded`], remembered for further operations on the same map.
pub(super) fn rounded_map(x: FlexTensor) -> FlexTensor {
    let x = dense(&x);
    if x.dtype() != DType::F32 || !is_whole(&x) {
        return rounded(&x);
    }
    let storage = x.data_arc();
    let known = TWINS.with_borrow(|twins| {
        let mut twins = twins.iter();
        let twin = twins.find(|twin| {
            twin.of
                .upgrade()
                .is_some_and(|of| Arc::ptr_eq(&of, &storage))
        });
        twin.map(|twin| twin.rounded.reshape(x.shape()))
    });
    drop(storage);
    known.unwrap_or_else(|| {
        let rounded = rounded(&x);
        remember(&x, rounded.clone());
        rounded
    })
}

/// Remembers that `rounded` is `x` in bf16.
pub(super) fn remember(x: &FlexTensor, rounded: FlexTensor) {
    debug_assert!(is_whole(x));
    forget();
    let of = Arc::downgrade(&x.data_arc());
    TWINS.with_borrow_mut(|twins| twins.push(Twin { of, rounded }));
}

/// Forgets the maps that are no longer alive.
pub(super) fn forget() {
    TWINS.with_borrow_mut(|twins| twins.retain(|twin| twin.of.strong_count() > 0));
}

/// Whether the dense tensor has all of its storage.
fn is_whole(x: &FlexTensor) -> bool {
    x.bytes().len() == x.shape().num_elements() * size_of::<f32>()
}

#[cfg(test)]
mod tests {
    use super::super::flex;
    use super::*;

    fn map(seed: usize) -> FlexTensor {
        let values = (0..24).map(|i| (i * seed) as f32 / 7.0).collect();
        flex::tensor(values, [2, 3, 4])
    }

    fn count() -> usize {
        TWINS.with_borrow(Vec::len)
    }

    #[test]
    fn a_map_is_rounded_once_while_it_is_alive() {
        let (a, b) = (map(3), map(5));
        let first = rounded_map(a.clone());
        assert_eq!(first.dtype(), DType::BF16);
        assert!(Arc::ptr_eq(
            &first.data_arc(),
            &rounded_map(a.clone()).data_arc()
        ));
        let flat = rounded_map(a.reshape([24].into()));
        assert!(Arc::ptr_eq(&first.data_arc(), &flat.data_arc()));
        assert!(!Arc::ptr_eq(
            &first.data_arc(),
            &rounded_map(b.clone()).data_arc()
        ));
        assert_eq!(count(), 2);
        drop(a);
        forget();
        assert_eq!(count(), 1);
        drop(b);
        forget();
        assert_eq!(count(), 0);
    }

    #[test]
    fn a_map_that_changes_in_place_is_rounded_again() {
        let mut a = map(3);
        let before = rounded_map(a.clone());
        a.storage_mut::<f32>()[5] = 9.0;
        let after = rounded_map(a.clone());
        let numbers = |x: &FlexTensor| x.bytes().to_vec();
        assert_ne!(numbers(&before), numbers(&after));
        assert_eq!(numbers(&after), numbers(&rounded(&a)));
    }
}

//! The named tensors of a net.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;

/// A tensor of a net, with its name.
#[derive(Debug, Clone)]
pub struct NamedTensor {
    /// Path of the tensor in the net, joined by dots.
    pub name: String,
    /// burn's id of the tensor, by which optimisers keep their state.
    pub id: ParamId,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Values of the tensor in row-major order.
    pub values: Vec<f32>,
}

/// All tensors of the net in order, running statistics included.
pub fn tensors(net: &impl Module) -> Vec<NamedTensor> {
    let mut visitor = Collect {
        path: Vec::new(),
        visit: |name, id, shape, values: &mut dyn FnMut() -> Vec<f32>| NamedTensor {
            name,
            id,
            shape,
            values: values(),
        },
        found: Vec::new(),
    };
    // `valid` updates the running statistics, which lag by one batch otherwise.
    net.valid().visit(&mut visitor);
    visitor.found
}

/// Names, ids and shapes of all tensors of the net, in the order of [`tensors`].
pub fn names(net: &impl Module) -> Vec<(String, ParamId, Vec<usize>)> {
    let mut visitor = Collect {
        path: Vec::new(),
        visit: |name, id, shape, _: &mut dyn FnMut() -> Vec<f32>| (name, id, shape),
        found: Vec::new(),
    };
    net.visit(&mut visitor);
    visitor.found
}

/// Number of trained parameters of the net, without the running statistics of norms.
pub fn trained_parameters(net: &impl Module) -> usize {
    names(net)
        .iter()
        .filter(|(name, ..)| !name.contains("running_"))
        .map(|(_, _, shape)| shape.iter().product::<usize>())
        .sum()
}

/// Replaces the tensors of `net` that `values` names.
pub(crate) fn replace<T: Module>(net: T, values: BTreeMap<String, Vec<f32>>, device: &Device) -> T {
    net.map(&mut Replace {
        path: Vec::new(),
        values,
        device: device.clone(),
    })
}

/// Whether a module adds its name to a tensor's path. An enum's variant does not, so a tensor has
/// the same name with any norm. The net within a `System` does not either.
fn is_step(name: &str, container: &str) -> bool {
    let variant = container.starts_with("Enum");
    let system = name == "net" && container == "Struct:System";
    !variant && !system
}

/// Collects the results of `visit` for each tensor's name, id, shape and values.
struct Collect<T, F> {
    path: Vec<String>,
    visit: F,
    found: Vec<T>,
}

impl<T, F> ModuleVisitor for Collect<T, F>
where
    F: FnMut(String, ParamId, Vec<usize>, &mut dyn FnMut() -> Vec<f32>) -> T,
{
    fn enter_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape: Vec<usize> = param.lazy_shape().to_vec();
        let mut values = || param.val().into_data().iter::<f32>().collect();
        let item = (self.visit)(self.path.join("."), param.id, shape, &mut values);
        self.found.push(item);
    }
}

/// Replaces the tensors that `values` names.
struct Replace {
    path: Vec<String>,
    values: BTreeMap<String, Vec<f32>>,
    device: Device,
}

impl ModuleMapper for Replace {
    fn enter_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        if is_step(name, container) {
            self.path.pop();
        }
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.values.remove(&self.path.join(".")) else {
            return param;
        };
        let shape = param.lazy_shape();
        let id = param.id;
        let tensor = Tensor::from_data(TensorData::new(values, shape), &self.device);
        param.transform_for_load(tensor, id)
    }
}

//! A graph that grows: nodes, constants, inputs and outputs.

use crate::proto::{
    AttributeProto, Dimension, FLOAT, FLOAT16, GraphProto, INT64, NodeProto, TensorProto,
    TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};
use burn::tensor::f16;
use std::collections::HashSet;

/// A value of the graph.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) name: String,
    /// Number of channels of a map of features; 0 for others.
    pub(crate) channels: usize,
}

impl Value {
    pub(crate) fn new(name: String, channels: usize) -> Self {
        Self { name, channels }
    }

    /// The same value, as a map of `channels` channels.
    pub(crate) fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }
}

/// Length of an axis: fixed, or named and decided by the input.
pub(crate) enum Axis {
    Fixed(usize),
    Named(&'static str),
}

/// The value of an attribute.
pub(crate) enum Attribute {
    Float(f32),
    Int(i64),
    Text(&'static str),
    Ints(Vec<i64>),
}

/// Nodes and constants so far.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    graph: GraphProto,
    names: HashSet<String>,
    /// The first constant that does not fit 16 bits.
    overflow: Option<(String, f32)>,
}

impl Builder {
    /// Adds a node and returns its only output, which has as many channels as the first input.
    pub(crate) fn node(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attributes: Vec<(&str, Attribute)>,
    ) -> Value {
        let name = format!("{op}_{}", self.graph.node.len());
        self.node_as(name, op, inputs, attributes)
    }

    /// Adds a node whose output has a name.
    pub(crate) fn node_as(
        &mut self,
        output: String,
        op: &str,
        inputs: &[&Value],
        attributes: Vec<(&str, Attribute)>,
    ) -> Value {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|v| v.name.clone()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op.to_owned(),
            attribute: attributes.into_iter().map(attribute).collect(),
        });
        self.names.insert(output.clone());
        Value::new(output, inputs.first().map_or(0, |v| v.channels))
    }

    /// Whether there is a constant, or a value made of constants, called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Adds a constant of 32 bits, unless there is one of this name.
    pub(crate) fn floats(&mut self, name: String, shape: &[usize], values: &[f32]) -> Value {
        let bytes = || values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, FLOAT, shape, bytes)
    }

    /// The name of the value in 32 bits of the constant `name`, which is stored in 16.
    pub(crate) fn cast_name(name: &str) -> String {
        format!("{name}.f32")
    }

    /// Adds a constant that is stored in 16 bits and cast to 32, unless there is one of this name.
    pub(crate) fn halves(&mut self, name: String, shape: &[usize], values: &[f32]) -> Value {
        let cast = Self::cast_name(&name);
        if !self.has(&cast) {
            let halves: Vec<f16> = values.iter().map(|v| f16::from_f32(*v)).collect();
            let lost = halves.iter().position(|h| !h.is_finite());
            if let (None, Some(at)) = (&self.overflow, lost) {
                self.overflow = Some((name.clone(), values[at]));
            }
            let bytes = || halves.iter().flat_map(|h| h.to_le_bytes()).collect();
            let stored = self.constant(name, FLOAT16, shape, bytes);
            let to = Attribute::Int(FLOAT.into());
            return self.node_as(cast, "Cast", &[&stored], vec![("to", to)]);
        }
        Value::new(cast, 0)
    }

    /// Adds a constant of integers, unless there is one of this name.
    pub(crate) fn ints(&mut self, name: &str, values: &[i64]) -> Value {
        let bytes = || values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name.to_owned(), INT64, &[values.len()], bytes)
    }

    fn constant(
        &mut self,
        name: String,
        data_type: i32,
        shape: &[usize],
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> Value {
        if self.names.insert(name.clone()) {
            self.graph.initializer.push(TensorProto {
                dims: shape.iter().map(|n| *n as i64).collect(),
                data_type: Some(data_type),
                name: name.clone(),
                raw_data: Some(bytes()),
            });
        }
        Value::new(name, 0)
    }

    /// Declares an input, a map with one channel.
    pub(crate) fn input(&mut self, name: &str, shape: Vec<Axis>, document: &str) -> Value {
        self.graph.input.push(declared(name, shape, document));
        Value::new(name.to_owned(), 1)
    }

    /// Declares `value` as the output `name`.
    pub(crate) fn output(&mut self, value: &Value, name: &str, shape: Vec<Axis>, document: &str) {
        self.node_as(name.to_owned(), "Identity", &[value], Vec::new());
        self.graph.output.push(declared(name, shape, document));
    }

    /// The first constant that does not fit 16 bits, if there is one.
    pub(crate) fn overflow(&self) -> Option<&(String, f32)> {
        self.overflow.as_ref()
    }

    /// The graph, without nodes and constants that no output needs.
    pub(crate) fn finish(self, name: &str) -> GraphProto {
        let mut graph = self.graph;
        graph.name = name.to_owned();
        let mut used: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
        for node in graph.node.iter().rev() {
            if node.output.iter().any(|o| used.contains(o)) {
                used.extend(node.input.iter().cloned());
            }
        }
        graph
            .node
            .retain(|node| node.output.iter().any(|o| used.contains(o)));
        graph.initializer.retain(|t| used.contains(&t.name));
        graph
    }
}

fn attribute((name, value): (&str, Attribute)) -> AttributeProto {
    let mut made = AttributeProto {
        name: name.to_owned(),
        ..AttributeProto::default()
    };
    // Numbers of `AttributeProto.AttributeType`.
    let kind = match value {
        Attribute::Float(v) => {
            made.f = Some(v);
            1
        }
        Attribute::Int(v) => {
            made.i = Some(v);
            2
        }
        Attribute::Text(v) => {
            made.s = Some(v.as_bytes().to_vec());
            3
        }
        Attribute::Ints(v) => {
            made.ints = v;
            7
        }
    };
    made.kind = Some(kind);
    made
}

fn declared(name: &str, shape: Vec<Axis>, document: &str) -> ValueInfoProto {
    let dim = shape
        .into_iter()
        .map(|axis| match axis {
            Axis::Fixed(n) => Dimension {
                dim_value: Some(n as i64),
                dim_param: None,
            },
            Axis::Named(name) => Dimension {
                dim_value: None,
                dim_param: Some(name.to_owned()),
            },
        })
        .collect();
    ValueInfoProto {
        name: name.to_owned(),
        kind: Some(TypeProto {
            tensor_type: Some(TensorType {
                elem_type: Some(FLOAT),
                shape: Some(TensorShapeProto { dim }),
            }),
        }),
        doc_string: document.to_owned(),
    }
}

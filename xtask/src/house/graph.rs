//! Circles of a directed graph.

/// The groups of nodes that reach each other, each with more than one node or with an edge to
/// itself. `edges[node]` lists the nodes that `node` points to. Groups and their nodes are sorted.
pub fn circles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut search = Search {
        edges,
        order: vec![None; edges.len()],
        low: vec![0; edges.len()],
        stack: Vec::new(),
        on_stack: vec![false; edges.len()],
        next: 0,
        found: Vec::new(),
    };
    for node in 0..edges.len() {
        if search.order[node].is_none() {
            search.visit(node);
        }
    }
    search.found.sort();
    search.found
}

/// Tarjan's search for strongly connected components.
struct Search<'a> {
    edges: &'a [Vec<usize>],
    /// When the search has reached each node.
    order: Vec<Option<usize>>,
    /// The earliest node on the stack that each node reaches.
    low: Vec<usize>,
    stack: Vec<usize>,
    on_stack: Vec<bool>,
    next: usize,
    found: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, node: usize) {
        self.order[node] = Some(self.next);
        self.low[node] = self.next;
        self.next += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
        let edges = self.edges;
        for &to in &edges[node] {
            match self.order[to] {
                None => {
                    self.visit(to);
                    self.low[node] = self.low[node].min(self.low[to]);
                }
                Some(order) if self.on_stack[to] => {
                    self.low[node] = self.low[node].min(order);
                }
                Some(_) => {}
            }
        }
        if self.order[node] == Some(self.low[node]) {
            self.close(node);
        }
    }

    /// Takes the component that ends at `node` off the stack.
    fn close(&mut self, node: usize) {
        let mut group = Vec::new();
        while let Some(last) = self.stack.pop() {
            self.on_stack[last] = false;
            group.push(last);
            if last == node {
                break;
            }
        }
        group.sort_unstable();
        if group.len() > 1 || self.edges[node].contains(&node) {
            self.found.push(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_without_circles_has_no_groups() {
        assert!(circles(&[vec![1, 2], vec![2], vec![]]).is_empty());
    }

    #[test]
    fn separate_circles_are_separate_groups() {
        let edges = [vec![1], vec![0, 2], vec![3], vec![4], vec![2], vec![5]];
        assert_eq!(circles(&edges), [vec![0, 1], vec![2, 3, 4], vec![5]]);
    }
}

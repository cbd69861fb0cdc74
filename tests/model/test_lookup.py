"""Rows by number, and the sum that is their gradient."""

from __future__ import annotations

import torch
from torch.nn import functional

from headrace.model.layers.indexing import rows_of


def test_rows_and_their_gradient_are_those_of_an_embedding() -> None:
    random = torch.Generator().manual_seed(0)
    row_BT = torch.randint(0, 5, (3, 4), generator=random)
    weight_BTD = torch.randn(3, 4, 2, generator=random)
    gradients = []
    for look_up in (rows_of, lambda table_RD, row_X: functional.embedding(row_X, table_RD)):
        table_RD = torch.arange(10.0).view(5, 2).requires_grad_()
        found_BTD = look_up(table_RD, row_BT)
        assert torch.equal(found_BTD[1, 2], table_RD[row_BT[1, 2]])
        (found_BTD * weight_BTD).sum().backward()
        gradients.append(table_RD.grad)
    assert gradients[0] is not None and gradients[1] is not None
    assert torch.allclose(gradients[0], gradients[1])

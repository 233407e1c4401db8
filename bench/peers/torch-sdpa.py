"""PyTorch's scaled_dot_product_attention on CUDA, one JSON line a backend: the peers of `npm run bench -- gpu`.

usage: torch-sdpa.py B H T D [backward]   (f16, causal; with `backward` forward and backward together)
"""

import json
import statistics
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

batch, heads, tokens, dim = (int(x) for x in sys.argv[1:5])
backward = "backward" in sys.argv[5:]
query, key, value = (
    torch.randn(batch, heads, tokens, dim, device="cuda", dtype=torch.float16, requires_grad=backward)
    for _ in range(3)
)
gradient = torch.randn_like(query)
# the backward counts as 2.5 times the forward
operations = 4 * batch * heads * tokens * tokens * dim / 2 * (3.5 if backward else 1)


def run():
    output = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    if backward:
        torch.autograd.grad(output, (query, key, value), gradient)


for name, backend in {
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "FlashAttention-2": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
}.items():
    try:
        with sdpa_kernel(backend):
            for _ in range(5):
                run()
            times = []
            for _ in range(7):
                start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                start.record()
                for _ in range(10):
                    run()
                end.record()
                torch.cuda.synchronize()
                times.append(start.elapsed_time(end) / 10e3)
        seconds = statistics.median(times)
        print(json.dumps({"system": f"PyTorch SDPA, {name} (CUDA)", "version": torch.__version__, "seconds": seconds, "tflops": operations / seconds / 1e12}))
    except RuntimeError as error:
        print(json.dumps({"system": f"PyTorch SDPA, {name} (CUDA)", "version": torch.__version__, "error": str(error).split("\n")[0]}))

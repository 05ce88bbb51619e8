import pytest

from byola_diff.training.monitors import DivergedError
from byola_diff.training.together import gathered, is_first, is_lost_peer, raise_together
from tests.processes import run

# Two processes, of which the second meets an error; prints what each of them does.
TWO = """
import os, sys
from torch import distributed
from byola_diff.training.monitors import DivergedError
from byola_diff.training.together import gathered, is_first, raise_together
children = []
for rank in range(2):
    child = os.fork()
    if child == 0:
        how = dict(init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2)
        distributed.init_process_group("gloo", **how)
        seen = [gathered(None), gathered(["of the second"] if rank else None), is_first()]
        raise_together(None)
        end = "went on"
        try:
            raise_together(DivergedError("the loss is nan") if rank else None)
        except BaseException as error:
            end = repr(error)
        # In one write: unbuffered, print writes the end of the line apart, after the other's line.
        os.write(1, f"{rank} {seen} {end}\\n".encode())
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


@pytest.mark.slow
def test_what_one_process_meets_stops_all_with_one_message(tmp_path):
    done = run("-c", TWO, tmp_path / "meeting")
    seen = "[[], [None, ['of the second']], "
    assert sorted(done.stdout.splitlines()) == [
        f"0 {seen}True] DivergedError('the loss is nan')",
        f"1 {seen}False] SystemExit(0)",
    ]


def test_one_process_alone():
    assert is_first()
    assert gathered([]) == gathered(None) == []
    assert gathered(["a"]) == [["a"]]
    raise_together(None)
    with pytest.raises(DivergedError, match="nan"):
        raise_together(DivergedError("nan"))


def test_the_end_of_another_process_is_known_from_other_errors():
    assert is_lost_peer(RuntimeError("[gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:1"))
    assert not is_lost_peer(RuntimeError("CUDA error: out of memory"))

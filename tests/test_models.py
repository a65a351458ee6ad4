import inspect

import pytest
import torch
from torch import Tensor, nn

from kdphys.models.student import Student, StudentConfig
from kdphys.models.teacher import Teacher, TeacherConfig

MOST_STUDENT_PARAMETERS = 230_000
MODELS = {"student": Student, "teacher": Teacher}


def faces(clips: int, frames: int, seed: int = 0) -> Tensor:
    """Random clips in [0, 1]. Shape (B, T, 3, 36, 36)."""
    source = torch.Generator().manual_seed(seed)
    return torch.rand(clips, frames, 3, 36, 36, generator=source)


def quiet_student() -> Student:
    torch.manual_seed(0)
    return Student().eval()


@pytest.mark.parametrize("name", MODELS)
def test_a_clip_gives_a_wave_as_long_as_the_clip(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    for clips, frames in ((1, 40), (3, 64)):
        with torch.no_grad():
            assert model(faces(clips, frames)).shape == (clips, frames)


@pytest.mark.parametrize("name", MODELS)
def test_each_clip_of_a_batch_is_read_alone(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    clips = faces(3, 40)
    with torch.no_grad():
        together, alone = model(clips), model(clips[1:2])
    # Convolutions of another batch size add in another order.
    assert (together[1] - alone[0]).abs().max() < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    model = MODELS[name]().train()
    wave = model(faces(2, 128))
    (wave * torch.randn_like(wave)).sum().backward()
    dead = [name for name, weight in model.named_parameters() if not _learns(weight)]
    assert dead == []


def _learns(weight: nn.Parameter) -> bool:
    return weight.grad is not None and bool(weight.grad.abs().max() > 0)


def test_the_student_has_at_most_230_000_parameters():
    count = sum(weight.numel() for weight in Student().parameters())
    assert 50_000 < count <= MOST_STUDENT_PARAMETERS


def test_the_student_is_far_cheaper_than_its_teacher():
    from train.export import macs_per_frame

    assert macs_per_frame(Student().eval()) < 0.1 * macs_per_frame(Teacher().eval())


def test_no_future_frame_changes_a_past_sample_of_the_student():
    model = quiet_student()
    clip = faces(1, 80)
    for cut in (1, 30, 79):
        changed = clip.clone()
        changed[:, cut:] = faces(1, 80 - cut, seed=1)
        with torch.no_grad():
            before, after = model(clip), model(changed)
        # Longer sums may be added in another order; anything seen of the future is far larger.
        assert (before[:, :cut] - after[:, :cut]).abs().max() < 1e-6
        assert (before[:, cut:] - after[:, cut:]).abs().max() > 1e-4


def test_the_student_comes_at_most_half_a_second_late():
    config = StudentConfig()
    assert config.lag / config.fps <= 0.5
    with pytest.raises(ValueError, match="lag=20"):
        StudentConfig(lag=20)


def test_the_state_of_the_student_has_a_constant_size():
    model = quiet_student()
    clip = faces(1, 50)
    state = model.start(clip[:, 0])
    sizes = [part.shape for part in state]
    with torch.no_grad():
        for start, stop in ((0, 1), (1, 2), (2, 50)):
            _, state = model.run(clip[:, start:stop], state)
            assert [part.shape for part in state] == sizes


def test_the_teacher_uses_all_of_a_clip_s_time():
    torch.manual_seed(0)
    model = Teacher().eval()
    clip = faces(1, 80)
    changed = clip.clone()
    changed[:, 76:] = faces(1, 4, seed=1)
    with torch.no_grad():
        assert (model(clip)[0, 0] - model(changed)[0, 0]).abs() > 0


def test_the_teacher_s_maps_come_at_the_frame_rate_of_the_student():
    torch.manual_seed(0)
    teacher, student = Teacher().eval(), quiet_student()
    clip = faces(1, 16)
    with torch.no_grad():
        taught, own = teacher.describe(clip), student.describe(clip)
        assert torch.equal(own.wave, student(clip))
    assert taught.wave.shape == own.wave.shape == (1, 16)
    assert taught.maps.shape[2:] == (16, 9, 9)
    assert taught.traits.shape[::2] == (1, 4)
    assert own.maps.shape[1] == own.traits.shape[2] == 16
    assert own.maps.shape[3:] == taught.maps.shape[3:]
    # A softmax sums to 1 but for float32 rounding.
    assert torch.allclose(taught.share.flatten(2).sum(2), torch.ones(1, 4), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_still_gives_no_wave_once_the_filters_have_settled(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    still = faces(1, 1).expand(-1, 320, -1, -1, -1)
    with torch.no_grad():
        wave = model(still)[0, 280:300] if name == "student" else model(still)[0, 150:170]
    # The student's memory is 8 + 2 * 111 frames; the teacher's edges reach in by attention only.
    assert wave.std() < 1e-4 * max(1.0, float(wave.abs().max()))


@pytest.mark.parametrize("config", [StudentConfig, TeacherConfig])
def test_each_configuration_explains_its_fields(config):
    source = inspect.getsource(config)
    for field in config.__dataclass_fields__:
        assert f"    {field}: " in source
        explained = source.split(f"    {field}: ")[1].split("\n")[1].strip()
        assert explained.startswith('"""')


def test_configurations_that_no_network_can_follow_are_refused():
    with pytest.raises(ValueError, match="widths"):
        StudentConfig(widths=(8, 16))
    with pytest.raises(ValueError, match="heads"):
        TeacherConfig(heads=5)
    with pytest.raises(ValueError, match="baseline"):
        TeacherConfig(baseline=60)

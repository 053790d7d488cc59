"""What ``kiosk check`` says around its findings, in both languages.

Pure.
"""

from __future__ import annotations

from kiosk.check.findings import Verdict
from kiosk.signaling.messages import Quality, QualityLevel

SAYS: dict[str, dict[str, str]] = {
    "running": {
        "en": "The kiosk of this bed runs and tests itself.",
        "zh": "本床终端正在运行，由它自行测试。",
    },
    "alone": {
        "en": "No kiosk runs with these settings: the devices are tested directly.",
        "zh": "没有使用该设置运行的终端，直接测试各设备。",
    },
    "in_use": {
        "en": "Not now: a request is open or a call is on. Somebody needs this bed.",
        "zh": "现在不能测试：有未处理的呼叫或正在通话，有人需要使用本床终端。",
    },
    "interrupted": {
        "en": "The self-test was ended: somebody needed this bed.",
        "zh": "自检已中止：有人需要使用本床终端。",
    },
    "busy": {"en": "Not now: another self-test runs.", "zh": "现在不能测试：另一个自检正在进行。"},
    "look_lamp": {
        "en": "The lamp at the bed goes on and off now, once a second. Does it give light? [y/n] ",
        "zh": "床头指示灯正在每秒亮灭一次。灯亮了吗？[y/n] ",
    },
    "look_relay": {
        "en": "The relay is closed now. Does the other nurse call ring? [y/n] ",
        "zh": "继电器已吸合。另一套呼叫系统响了吗？[y/n] ",
    },
    "press_now": {
        "en": "Press the call button at the bed now, within {seconds} s.",
        "zh": "请在 {seconds} 秒内按一下床头的呼叫按钮。",
    },
    "press_calls": {
        "en": "It calls for help, as every press does: afterwards end it at the bed (nurse present, or cancel).",
        "zh": "这会像平时一样发出呼叫：之后请在床头结束（护士到场或取消）。",
    },
    "call": {
        "en": "In a call with {seat} for {seconds} s.",
        "zh": "正在与 {seat} 通话，已 {seconds} 秒。",
    },
    "at_bed": {"en": "connection at the bed", "zh": "床头端网络"},
    "at_seat": {"en": "connection at the seat", "zh": "护士端网络"},
    "no_results": {"en": "No self-test is on record.", "zh": "没有自检记录。"},
}

RESULTS: dict[Verdict, dict[str, str]] = {
    Verdict.OK: {"en": "All that was tested is in order.", "zh": "所测项目全部正常。"},
    Verdict.WARNING: {"en": "It works; some of it should be looked at.", "zh": "可以使用，但有项目需要留意。"},
    Verdict.FAULT: {"en": "There are faults.", "zh": "存在故障。"},
    Verdict.SKIPPED: {"en": "Nothing was tested.", "zh": "没有进行任何测试。"},
}

LEVELS: dict[QualityLevel, dict[str, str]] = {
    QualityLevel.UNKNOWN: {"en": "not known yet", "zh": "未知"},
    QualityLevel.EXCELLENT: {"en": "excellent", "zh": "极佳"},
    QualityLevel.GOOD: {"en": "good", "zh": "较好"},
    QualityLevel.POOR: {"en": "poor", "zh": "一般"},
    QualityLevel.BAD: {"en": "bad", "zh": "差"},
    QualityLevel.VERY_BAD: {"en": "very bad", "zh": "极差"},
    QualityLevel.DISCONNECTED: {"en": "disconnected", "zh": "已断开"},
}

FIGURES: dict[str, dict[str, str]] = {
    "loss_in": {"en": "loss in {} %", "zh": "下行丢包 {} %"},
    "loss_out": {"en": "loss out {} %", "zh": "上行丢包 {} %"},
    "rtt_ms": {"en": "round trip {} ms", "zh": "往返 {} 毫秒"},
    "jitter_ms": {"en": "jitter {} ms", "zh": "抖动 {} 毫秒"},
    "kbps_in": {"en": "{} kb/s in", "zh": "下行 {} kb/s"},
    "kbps_out": {"en": "{} kb/s out", "zh": "上行 {} kb/s"},
    "fps": {"en": "{} pictures/s", "zh": "{} 帧/秒"},
    "concealed": {"en": "{} % of the sound made up", "zh": "补偿声音 {} %"},
}
_PARTS = ("loss_in", "loss_out", "concealed")
"""Of 1; shown in per cent."""


def says(key: str, language: str, **figures: object) -> str:
    """The sentence *key* in ``"zh"`` or ``"en"``."""
    return SAYS[key][language].format(**figures)


def quality(told: Quality, language: str) -> str:
    """How good a connection is: TUICalling's number, the word for it, and the figures that are known."""
    known = [
        words[language].format(f"{100 * value if name in _PARTS else value:.3g}")
        for name, words in FIGURES.items()
        if (value := getattr(told, name)) is not None
    ]
    return f"{LEVELS[told.quality][language]} ({', '.join([f'{told.quality.value}/6', *known])})"

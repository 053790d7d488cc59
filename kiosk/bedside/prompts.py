"""What the patient is told, in words, for each prompt of :func:`kiosk.bedside.request_state.view`.

Pure. Short, honest, and never more than is known: "sent" only after the desk has it, "connected" only while
somebody really is.
"""

from __future__ import annotations

from kiosk.bedside.request_events import View

PROMPTS: dict[str, dict[str, str]] = {
    "ready": {
        "en": "Press the button when you need help.",
        "zh": "需要帮助时，请按呼叫按钮。",
    },
    "no_link": {
        "en": "Not connected. Please use the other bell.",
        "zh": "尚未连接，请使用另一个呼叫铃。",
    },
    "not_registered": {
        "en": "This device is not registered. Please use the other bell.",
        "zh": "本设备尚未登记，请使用另一个呼叫铃。",
    },
    "button_stuck": {
        "en": "The button is stuck. Please use the other bell.",
        "zh": "按钮卡住了，请使用另一个呼叫铃。",
    },
    "heard": {
        "en": "We heard you. Sending your call …",
        "zh": "已收到您的按键，正在发送……",
    },
    "use_other_bell": {
        "en": "We heard you, but nobody can be reached. Please use the other bell. We keep trying.",
        "zh": "已收到您的按键，但暂时联系不上护士站。请使用另一个呼叫铃，我们会继续尝试。",
    },
    "sent": {
        "en": "Your call has reached the nurses' desk.",
        "zh": "您的呼叫已送达护士站。",
    },
    "queued": {
        "en": "Your call is waiting. You are number {place} in line.",
        "zh": "您的呼叫正在排队，当前第 {place} 位。",
    },
    "deferred": {
        "en": "All nurses are busy. Please wait a moment, or press again.",
        "zh": "护士正忙，请稍候，或再按一次。",
    },
    "alarm": {
        "en": "Nobody has come yet. Please use the other bell. We keep calling.",
        "zh": "还没有人应答，请使用另一个呼叫铃。我们会继续呼叫。",
    },
    "ringing": {
        "en": "A nurse's desk is ringing.",
        "zh": "正在呼叫护士。",
    },
    "seat_calls": {
        "en": "A nurse is calling you. Press the button to speak.",
        "zh": "护士正在呼叫您，请按按钮接听。",
    },
    "seat_calls_by_itself": {
        "en": "A nurse is calling you. You will be connected in a moment.",
        "zh": "护士正在呼叫您，即将自动接通。",
    },
    "answering": {
        "en": "Connecting you with the nurse …",
        "zh": "正在为您接通护士……",
    },
    "talking": {
        "en": "You are connected. Please speak.",
        "zh": "已接通，请讲话。",
    },
    "talking_with_several": {
        "en": "You are connected with {seats} people. Please speak.",
        "zh": "您正在与 {seats} 位医护人员通话，请讲话。",
    },
    "interrupted": {
        "en": "The connection was interrupted. We are connecting you again. Please wait.",
        "zh": "通话中断了，正在重新接通，请稍候。",
    },
    "answered": {
        "en": "The nurse knows about your call. Press again to speak once more.",
        "zh": "护士已知道您的呼叫。如需再次通话，请再按一次。",
    },
}


def words(view: View, language: str) -> str:
    """The sentence for *view* in ``"zh"`` or ``"en"``."""
    return PROMPTS[view.prompt][language].format(place=view.place, seats=view.seats)

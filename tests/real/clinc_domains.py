"""The ten domains of clinc150 (Larson et al. 2019), fifteen intents each; the data file names intents alone.

Two are cut in half, so that a year has twelve batches of intents that nobody has seen before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import tunekit as tk

_INTENTS = {
    "banking": "freeze_account routing pin_change bill_due pay_bill account_blocked interest_rate min_payment"
    " bill_balance transfer order_checks balance spending_history transactions report_fraud",
    "cards": "replacement_card_duration expiration_date damaged_card improve_credit_score report_lost_card"
    " card_declined credit_limit_change apr redeem_rewards credit_limit rewards_balance application_status"
    " credit_score new_card international_fees",
    "kitchen": "food_last confirm_reservation how_busy ingredients_list calories nutrition_info recipe"
    " restaurant_reviews restaurant_reservation meal_suggestion restaurant_suggestion cancel_reservation"
    " ingredient_substitution cook_time accept_reservations",
    "music": "what_song play_music update_playlist next_song order_status order smart_home",
    "lists": "todo_list_update reminder reminder_update calendar_update shopping_list calendar todo_list"
    " shopping_list_update",
    "car": "current_location oil_change_when oil_change_how uber traffic tire_pressure schedule_maintenance gas mpg"
    " distance directions last_maintenance gas_type tire_change jump_start",
    "travel": "plug_type travel_notification translate flight_status international_visa timezone exchange_rate"
    " travel_suggestion travel_alert vaccines lost_luggage book_flight book_hotel carry_on car_rental",
    "clock": "weather alarm date timer time measurement_conversion calculator",
    "phone": "find_phone share_location make_call definition text roll_dice flip_coin spelling",
    "work": "direct_deposit pto_request taxes payday w2 pto_balance pto_request_status next_holiday insurance"
    " insurance_change schedule_meeting pto_used meeting_schedule rollover_401k income",
    "talk": "greeting goodbye tell_joke where_are_you_from how_old_are_you what_is_your_name who_made_you thank_you"
    " what_can_i_ask_you what_are_your_hobbies do_you_have_pets are_you_a_bot meaning_of_life who_do_you_work_for"
    " fun_fact",
    "settings": "change_ai_name change_user_name cancel user_name reset_settings whisper_mode repeat no yes maybe"
    " change_language change_accent change_volume change_speed sync_device",
}
BATCHES: Mapping[str, tuple[str, ...]] = {name: tuple(intents.split()) for name, intents in _INTENTS.items()}
"""The intents of each month, by the name of its batch."""


def rows(shared_data: Path, part: str, intents: tuple[str, ...], each: int) -> tk.Dataset:
    """The first rows of each intent."""
    pairs = json.loads((shared_data / "clinc150" / "data_full.json").read_bytes())[part]
    left = dict.fromkeys(intents, each)
    found = []
    for at, (text, intent) in enumerate(pairs):
        if left.get(intent, 0):
            left[intent] -= 1
            found.append(tk.LabelledExample(id=f"{part}-{at}", text=text, label=intent))
    return tk.Dataset(found)

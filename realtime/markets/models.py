"""The market's rows.

Prices and quantities have 15 digits, 8 of them after the point as the exchange writes them: SQLite
keeps a Decimal as a float, which is exact for 15 digits and no more.
"""

from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import quote

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models


def places_of(step: Decimal) -> int:
    """Digits after the point that a step needs: 0.01000000 has 2."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -int(exponent))


class Market(models.Model):
    symbol = models.CharField(max_length=20, primary_key=True)
    base = models.CharField(max_length=10)
    quote = models.CharField(max_length=10)
    price_step = models.DecimalField(max_digits=15, decimal_places=8, default=Decimal("0.01"))
    quantity_step = models.DecimalField(max_digits=15, decimal_places=8, default=Decimal("0.00001"))

    class Meta:
        ordering = ("symbol",)

    def __str__(self) -> str:
        return self.symbol

    def get_absolute_url(self) -> str:
        return f"/market/{quote(self.symbol)}/"

    @property
    def price_places(self) -> int:
        return places_of(self.price_step)

    @property
    def quantity_places(self) -> int:
        return places_of(self.quantity_step)

    def price_text(self, price: Decimal) -> str:
        """A price as people read it: 61,640.00."""
        return f"{price:,.{self.price_places}f}"


class Ticker(models.Model):
    """The newest of one market: one row, updated in place, begun anew with each run."""

    market = models.OneToOneField(Market, models.CASCADE, primary_key=True)
    bid = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    bid_quantity = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    ask = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    ask_quantity = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    last = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    open = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    high = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    low = models.DecimalField(max_digits=15, decimal_places=8, null=True)
    volume = models.DecimalField(max_digits=15, decimal_places=8, default=Decimal(0))
    trades = models.PositiveIntegerField(default=0, help_text="Trades of this run")
    quotes = models.PositiveIntegerField(default=0, help_text="Best prices of this run")
    last_trade_id = models.BigIntegerField(null=True)
    opened_at = models.DateTimeField(null=True, help_text="First trade of this run")
    traded_at = models.DateTimeField(null=True, help_text="Last trade, exchange time")
    recorded_at = models.DateTimeField(null=True, help_text="Last message, recorder's clock")
    updated_at = models.DateTimeField(null=True, help_text="When this row was written")
    run = models.PositiveIntegerField(default=0, help_text="Grows when the market begins anew")
    feed = models.CharField(max_length=80, blank=True, help_text="Where the prices come from")

    def __str__(self) -> str:
        return self.market_id

    @property
    def change(self) -> Decimal | None:
        """Change since the first trade of the run, in per cent, as it is shown: two digits."""
        if self.last is None or not self.open:
            return None
        share = (self.last - self.open) / self.open * 100
        return share.quantize(Decimal("0.01"), ROUND_HALF_UP)


class Side(models.TextChoices):
    BUY = "buy", "taker bought"
    SELL = "sell", "taker sold"


class Trade(models.Model):
    """A trade of the exchange; rows are only ever inserted, in trade order."""

    id = models.BigAutoField(primary_key=True)
    market = models.ForeignKey(Market, models.CASCADE, related_name="trades", db_index=False)
    trade_id = models.BigIntegerField(help_text="The exchange's number; does not fit 32 bits")
    price = models.DecimalField(max_digits=15, decimal_places=8)
    quantity = models.DecimalField(max_digits=15, decimal_places=8)
    side = models.CharField(max_length=4, choices=Side.choices)
    traded_at = models.DateTimeField(help_text="Exchange time")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("market", "trade_id"), name="trade_once"),)
        indexes = (models.Index(fields=("market", "-id"), name="trade_newest"),)

    def __str__(self) -> str:
        return f"{self.market_id} {self.trade_id}"

    @property
    def price_text(self) -> str:
        return self.market.price_text(self.price)

    @property
    def quantity_text(self) -> str:
        return f"{self.quantity:,.{self.market.quantity_places}f}"

    @property
    def time_text(self) -> str:
        return f"{self.traded_at:%H:%M:%S}.{self.traded_at.microsecond // 1000:03}"


class Candle(models.Model):
    """Open, high, low, close and volume of one second; the newest one still grows."""

    id = models.BigAutoField(primary_key=True)
    market = models.ForeignKey(Market, models.CASCADE, related_name="candles", db_index=False)
    interval = models.CharField(max_length=3, default="1s")
    start = models.DateTimeField()
    open = models.DecimalField(max_digits=15, decimal_places=8)
    high = models.DecimalField(max_digits=15, decimal_places=8)
    low = models.DecimalField(max_digits=15, decimal_places=8)
    close = models.DecimalField(max_digits=15, decimal_places=8)
    volume = models.DecimalField(max_digits=15, decimal_places=8)
    trades = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("market", "interval", "start"), name="candle_once"),
        )

    def __str__(self) -> str:
        return f"{self.market_id} {self.interval} {self.start:%H:%M:%S}"


class PriceAlert(models.Model):
    """A person's wish to be told when a market trades through a price."""

    class Direction(models.TextChoices):
        UP = "up", "above"
        DOWN = "down", "below"

    class State(models.TextChoices):
        ARMED = "armed", "armed"
        FIRED = "fired", "fired"
        PAUSED = "paused", "paused"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="price_alerts")
    market = models.ForeignKey(Market, models.CASCADE, related_name="alerts", db_index=False)
    direction = models.CharField(max_length=4, choices=Direction.choices, default=Direction.UP)
    price = models.DecimalField(
        max_digits=15, decimal_places=8, validators=[MinValueValidator(Decimal("0.00000001"))]
    )
    once = models.BooleanField(default=True, help_text="Fires once, then waits to be re-armed")
    state = models.CharField(max_length=6, choices=State.choices, default=State.ARMED)
    note = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    fired_at = models.DateTimeField(null=True, blank=True, help_text="Last firing, market time")
    fired_price = models.DecimalField(max_digits=15, decimal_places=8, null=True, blank=True)
    firings = models.PositiveIntegerField(default=0, help_text="Firings in this run")

    class Meta:
        ordering = ("market", "-price", "id")
        indexes = (models.Index(fields=("market", "state", "price"), name="alert_armed"),)

    def __str__(self) -> str:
        return f"{self.market_id} {self.get_direction_display()} {self.price.normalize():f}"


class AlertFiring(models.Model):
    """An alert was crossed by this trade, or in this second where only seconds are known."""

    alert = models.ForeignKey(PriceAlert, models.CASCADE, related_name="firing_rows")
    trade = models.ForeignKey(Trade, models.CASCADE, null=True, db_index=False)
    candle = models.ForeignKey(Candle, models.CASCADE, null=True, db_index=False)
    price = models.DecimalField(max_digits=15, decimal_places=8)
    fired_at = models.DateTimeField(help_text="Market time")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("alert", "trade"), name="firing_once_a_trade"),
            models.UniqueConstraint(fields=("alert", "candle"), name="firing_once_a_second"),
            models.CheckConstraint(
                condition=models.Q(trade=None, candle__isnull=False)
                | models.Q(trade__isnull=False, candle=None),
                name="firing_has_a_cause",
            ),
        )

    def __str__(self) -> str:
        return f"{self.alert_id} at {self.price}"


class ReplayState(models.Model):
    """How far the replay has come; written in the transaction of the rows it speaks of."""

    class Stage(models.TextChoices):
        RUNNING = "running"
        DONE = "done"

    source = models.CharField(max_length=20)
    begins = models.BigIntegerField(null=True, help_text="--from: recorder's clock, ns since 1970")
    ends = models.BigIntegerField(null=True, help_text="--to: recorder's clock, ns since 1970")
    position = models.BigIntegerField(default=0, help_text="Last message played, same clock")
    run = models.PositiveIntegerField(default=0)
    stage = models.CharField(max_length=7, choices=Stage.choices, default=Stage.RUNNING)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.source}, run {self.run}"

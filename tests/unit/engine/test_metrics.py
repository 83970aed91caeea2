from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from realtime.engine import metrics

TABLE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "metrics.md"


def test_every_metric_is_documented_in_the_words_of_the_code():
    text = TABLE.read_text(encoding="utf-8")
    counted = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    for one in counted:
        name = f"{one._name}_total" if one._type == "counter" else one._name
        assert (
            f"| `{name}` | {one._type} | {', '.join(one._labelnames)} | {one._documentation} |"
            in text
        )
    assert text.count("| `tocsin_") == len(counted)

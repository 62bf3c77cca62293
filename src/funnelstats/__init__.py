"""Sales-funnel, customer-value and Bayesian conversion statistics with numbers that can be cited.

Public names are loaded when they are first asked for, so that ``import funnelstats`` loads no data engine and no sampler.
"""

from importlib import import_module
from typing import Any

#: Public name -> module that defines it. A new public name is a line here.
_PUBLIC = {
    # leaves
    "DataError": "errors",
    "Problem": "errors",
    "UnitError": "errors",
    "FunnelStatsWarning": "errors",
    "ImmatureWarning": "errors",
    "LeaveOneOutWarning": "errors",
    "LeakageWarning": "errors",
    "DAYS_PER": "window",
    "ObservationWindow": "window",
    "Interval": "interval",
    "Estimate": "estimate",
    "NotIdentified": "estimate",
    # data
    "read_crm": "data.crm",
    "EventLog": "data.events",
    "Mapping": "data.mapping",
    "StageCounts": "data.stages",
    "StageHazards": "data.stages",
    "load_dataset": "data.datasets",
    "list_datasets": "data.datasets",
    "dataset_card": "data.datasets",
    "remake": "data.rebuild",
    "simulate_crm": "data.simulate",
    "simulate_chain": "data.simulate_chain",
    "write_salesforce": "data.export",
    "write_hubspot": "data.export",
    "Periods": "data.periods",
    "read_periods": "data.periods",
    "Cases": "data.cases",
    "Roles": "data.cases",
    "read_cases": "data.cases",
    "load_public": "data.public",
    # models
    "stage_rates": "models.rate_table",
    "step_rates": "models.rates",
    "overall_rate": "models.rates",
    "decided_rate": "models.rates",
    "compare": "models.comparison",
    "Trials": "models.trials",
    "BetaBinomial": "models.exchangeable",
    "CompletePooling": "models.pooling",
    "NoPooling": "models.pooling",
    "pooling_table": "models.pooling",
    "HierarchicalConversion": "models.hierarchical",
    "time_in_stage": "models.timing",
    "incidence_curves": "models.timing",
    "compare_times": "models.timing",
    "time_to_stage": "models.arrival",
    "CompetingExits": "models.exits",
    "mean_time": "models.stays",
    "over_groups": "models.stays",
    "Transactions": "data.transactions",
    "Customers": "data.customers",
    "BgNbd": "models.purchases",
    "MbgNbd": "models.purchases",
    "ParetoNbd": "models.purchases",
    "BgBb": "models.occasions",
    "ShiftedBetaGeometric": "models.retention",
    "Renewals": "models.retention",
    "GammaGamma": "models.spend",
    "Affine": "models.affine",
    "Chain": "models.chain",
    "effect_table": "models.chain_effects",
    "check_chain": "models.chain_checks",
    "sensitivity": "models.chain_sensitivity",
    "sensitivity_table": "models.chain_sensitivity",
    "worked_example": "models.article",
    "training_table": "models.article",
    "chapters_table": "models.article",
    "chapter5_line": "models.article",
    "implied_last_link": "models.article",
    "design_of_chapter5": "models.article",
    "extrapolation_table": "models.article",
    "run_pieces": "models.article_listing",
    "torch_available": "models.article_listing",
    "train_with_torch": "models.article_listing",
    "train": "models.article_training",
    "broadcast_trap": "models.article_training",
    "LogisticScore": "models.scores",
    "HierarchicalScore": "models.hierarchical_scores",
    "score_table": "models.scoring",
    "reliability_table": "models.scoring",
    "loo": "inference.compare",
    "compare_fits": "inference.compare",
    "load": "models.model",
    # decisions
    "bottleneck": "decisions.bottleneck",
    "best_decile": "decisions.bottleneck",
    "fastest_decile": "decisions.bottleneck",
    "value_of_fixing": "decisions.fixing",
    "mean_amount": "decisions.fixing",
    "mix_and_rate": "decisions.mix",
    "league_table": "decisions.league",
    "what_if": "decisions.levers",
    "lever_table": "decisions.levers",
    "lever_values": "decisions.levers",
    "plan": "decisions.planning",
    "returns": "decisions.returns",
    "rfm_scores": "decisions.rfm",
    "value_tiers": "decisions.tiers",
    "lifecycle_state": "decisions.service",
    "action_table": "decisions.service",
    "next_best_action": "decisions.service",
    "lifetime_value": "decisions.lifetime_value",
    "lead_value": "decisions.lead_value",
    "holdout_scores": "decisions.holdout",
    "holdout_table": "decisions.holdout",
    "tracking_table": "decisions.tracking",
    "rank_offers": "decisions.offers",
    "simulate_exploration": "decisions.exploration",
    "Response": "decisions.response",
    "allocate": "decisions.allocation",
    "least_spend": "decisions.least_spend",
    # report
    "card": "report.citation",
    "Card": "report.cards",
    "quantity": "report.quantities",
    "quantities": "report.quantities",
    "verify": "report.verify",
    "definition_table": "report.definitions",
    "about": "report.about",
    "plot_funnel": "report.funnel_figures",
    "plot_cohorts": "report.cohort_figures",
    "plot_bottleneck": "report.decision_figures",
    "plot_league": "report.decision_figures",
    "plot_shrinkage": "report.decision_figures",
    "plot_chapters": "report.article_figures",
    "plot_training": "report.article_figures",
    "loss_table": "report.article_figures",
    "plot_chain": "report.plan_figures",
    "level_table": "report.plan_figures",
    "sliders": "report.sliders",
    "plot_tracking": "report.customer_figures",
    "plot_tiers": "report.customer_figures",
    "history_matrix": "report.history_figures",
    "plot_frequency_recency": "report.history_figures",
    "plot_alive_matrix": "report.history_figures",
    "plot_time_in_stage": "report.time_figures",
    "time_table": "report.time_figures",
    "funnel_table": "report.tables",
    "cohort_table": "report.tables",
    "table": "report.plain",
    "published_table": "report.published",
    "measured": "report.published",
    "plot_published": "report.published_figures",
    "say": "report.say",
    "publish": "report.say",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("funnelstats")
    if name not in _PUBLIC:
        import difflib

        close = difflib.get_close_matches(name, _PUBLIC, n=1)
        raise AttributeError(f"funnelstats has no {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    value = globals()[name] = getattr(import_module(f"funnelstats.{_PUBLIC[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

"""Programs that make what is measured: trained models, controls, answers about families."""

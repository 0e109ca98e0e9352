import torch
from model import ChurnModel
from torch import nn
from torch.utils.data import DataLoader


def train(loader: DataLoader, features: int, epochs: int = 10) -> ChurnModel:
    model = ChurnModel(features)
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.BCEWithLogitsLoss()
    model.train()
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            logits = model(inputs)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
    return model
